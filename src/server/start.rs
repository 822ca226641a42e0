//! The start of a server: everything that the configuration says, in its order.
//!
//! Owns the order. What is started is in the modules that it calls.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and spawns")]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use sluice_config::Effective;
use sluice_media::dtls::SharedDtls;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use super::configured::Configured;
use super::files::connections;
use super::live::{self, Live};
use super::made::Making;
use super::streams::Streams;
use super::tables::Tables;
use super::until_stop::{
    beat, end_drains, follow_file, keep_books, keep_certificate, listen, look, renew, watch_codecs,
    watch_rights,
};
use super::watchdog::{self, WatchdogSetup};
use super::{Rereads, Server, ServerError, settings, shards};
use crate::cipher::Choice;
use crate::count::Reloads;
use crate::count::access::Decisions;
use crate::count::requests::Requests;
use crate::current::Current;
use crate::descriptors::{ADMIN_CONNECTIONS, METRICS_CONNECTIONS, PROFILE_CONNECTIONS};
use crate::executor::Executor;
use crate::http::access::Access;
use crate::http::access::open::Listeners;
use crate::http::access::operators::Operators;
use crate::http::admin::{self, Admin};
use crate::http::counted::counted;
use crate::http::drain::Drained;
use crate::http::listen::{self, ClientLimits, HttpLimits, Service};
use crate::http::mediamtx::MediaMtx;
use crate::http::profiles::{self, Profiles};
use crate::http::routes::{self, Public};
use crate::http::tls::configured::Secured;
use crate::http::tls::{self, Tls};
use crate::http::whep::Whep;
use crate::operator::Operator;
use crate::operator::change::Changes;
use crate::operator::settings::Settings;
use crate::ops::logging::Logging;
use crate::ops::metrics::{Metrics, Observed};
use crate::session::admission::Admission;
use crate::session::announce::Announcer;
use crate::session::drain::Drain;
use crate::session::table::Sessions;
use crate::shard::command::ShardHandle;
use crate::stream::Registry;
use crate::supervise::{Ends, Task, Watched};
use crate::tasks::named;
use crate::track::RecentLimits;

impl Server {
    /// Starts everything that `configured` says, which is read again when that is asked for ([`Server::changes`]). `revision` is the commit of this build; of the log, what it lost is counted, its last lines are shown, and its
    /// levels can be changed.
    pub async fn start(
        configured: &Configured,
        revision: &'static str,
        log: Logging,
    ) -> Result<Server, ServerError> {
        let Effective { config, settings } = &configured.effective;
        let secured = Secured::new(config)?;
        let cipher = Choice::make(config.srtp.cipher);
        tracing::info!("{cipher}");
        let dtls = SharedDtls::new()?.with_library(cipher.library);
        let (sockets, v6) = shards::sockets(config)?;
        let plan = connections(config)?;
        let listeners = shards::listeners(config, sockets.len(), plan.of_viewers).await?;
        let announcer = Announcer::resolve(&config.ice, v6).await?;
        let announced = announcer.now()?;
        let viewers = config.limits.viewers as usize;
        // Two messages per viewer at the most: never full (see `News`).
        let (news_in, news) = mpsc::channel(2 * viewers + 1);
        let recent = RecentLimits::from(config);
        let ends = Arc::new(Ends::default());
        let workers = shards::start(config, (sockets, listeners), &news_in, &ends)?;
        let shards: Vec<Arc<ShardHandle>> = workers.iter().map(|worker| worker.handle.clone()).collect();

        let registry = Arc::new(Registry::new(&shards, recent));
        let requests = Arc::new(Requests::default());
        let sessions = Arc::new(Sessions::new(Arc::new(Admission::new((&config.limits).into()))));
        let drain = Arc::new(Drain::new(config.drain.clone()));
        let (streams, sources) = Streams::new(registry.clone(), sessions.clone(), ends.clone());
        let streams = Arc::new(streams);
        let making = Making::new(configured, streams.clone(), registry.clone(), sessions.admission.clone());
        let making = Arc::new(making);
        let whep = Arc::new(Whep {
            registry: registry.clone(),
            sessions: sessions.clone(),
            shards: shards.clone(),
            dtls,
            announced: Current::new(announced.as_slice().into()),
            terms: Current::new(config.into()),
            drain: drain.clone(),
            maker: making.clone(),
        });
        let operators = Arc::new(Current::new(ClientLimits::of_operators(config)));
        let decisions = Arc::new(Decisions::default());
        let access = Arc::new(Access::new(&config.access, decisions.clone()));
        let (changes, orders) = Changes::new();
        let reloads = Arc::new(Reloads::default());
        reloads.succeed(SystemTime::now());
        let operator = Arc::new(Operator::new(
            registry.clone(),
            sessions.clone(),
            shards.clone(),
            (Settings::new(settings), reloads.clone(), changes),
            (log.recent, log.levels),
        ));
        operator.probes.allow(&config.admin.sources);
        let admin_state = Arc::new(Admin {
            operator: operator.clone(),
            metrics: Metrics::new(Observed {
                registry: registry.clone(),
                sessions: sessions.clone(),
                shards: shards.clone(),
                requests: requests.clone(),
                decisions,
                lost: log.lines.lost(),
                ends: ends.clone(),
                revision,
                tls: secured.all().map(|tls| (tls.listener, tls.counters.clone())).collect(),
                cipher,
                reloads,
                drain: drain.clone(),
            }),
            registry: registry.clone(),
            shards,
            pulses: [("watchdog", Arc::default()), ("http", Arc::default())],
            profiles: Arc::new(Profiles::new(revision)),
            mediamtx: Arc::new(MediaMtx {
                operator: operator.clone(),
                config: Current::new(Arc::new(config.clone())),
                started: SystemTime::now(),
            }),
            hosts: Arc::new(Current::new(config.admin.hosts.as_slice().into())),
            operators: Operators { access: access.clone(), clients: operators.clone() },
            drained: Drained { drain: drain.clone(), sessions: sessions.clone() },
            stopping: AtomicBool::new(false),
        });

        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let watched = |task: Task, name: &str| Watched::new(task, name, stopping.clone(), ends.clone());
        let http_executor = Executor::http().map_err(ServerError::Thread)?;
        let clients = Arc::new(Current::new(ClientLimits::new(config)));
        let origins = Arc::new(Current::new(settings::origins(config)?));
        let announcer = Arc::new(Current::new(Arc::new(announcer)));
        let limits = HttpLimits { connections: plan.connections as usize, clients: clients.clone() };
        let private = listen::listen(config.admin.listen, "admin.listen").await?;
        let public = on(&http_executor, listen::listen(config.http.listen, "http.listen")).await?;
        let http = public.local_addr().unwrap_or(config.http.listen);
        let admin = private.local_addr().unwrap_or(config.admin.listen);
        let state = Public {
            whep: whep.clone(),
            list: Arc::default(),
            access: access.clone(),
            origins: origins.clone(),
            clients: clients.clone(),
        };
        let [(_, watchdog_pulse), (_, http_pulse)] = &admin_state.pulses;
        let service = |name, router, limits: &HttpLimits, tls: &Option<Arc<Tls>>| Service {
            router: counted(router, name, &requests),
            limits: limits.clone(),
            tls: tls.clone(),
            requests: requests.clone(),
        };
        let router = tls::strict(routes::public(state), config.http.hsts);
        let of_all = service("public", router, &limits, &secured.public);
        let serving = listen(watched(Task::Http, "http"), public, of_all, &stopping);
        tasks.spawn_on(named("http listener", serving), http_executor.handle());
        http_executor.handle().spawn(named("http pulse", beat(http_pulse.clone())));
        let limits = HttpLimits { connections: ADMIN_CONNECTIONS as usize, clients: operators.clone() };
        let mut listeners = Listeners { http, admin, metrics: None, profiles: None };
        if let Some(address) = config.pprof.listen {
            let listener = listen::listen(address, "pprof.listen").await?;
            listeners.profiles = Some(listener.local_addr().unwrap_or(address));
            let router = profiles::alone(
                admin_state.profiles.clone(),
                admin_state.operators.clone(),
                admin_state.hosts.clone(),
            );
            let limits = HttpLimits { connections: PROFILE_CONNECTIONS as usize, ..limits.clone() };
            let alone = service("pprof", router, &limits, &None);
            let serving = listen(watched(Task::Admin, "pprof"), listener, alone, &stopping);
            tasks.spawn(named("pprof listener", serving));
        }
        if let Some(address) = config.metrics.listen {
            let listener = listen::listen(address, "metrics.listen").await?;
            listeners.metrics = Some(listener.local_addr().unwrap_or(address));
            let limits = HttpLimits { connections: METRICS_CONNECTIONS as usize, ..limits.clone() };
            let alone = service("metrics", admin::metrics_alone(admin_state.clone()), &limits, &None);
            let serving = listen(watched(Task::Admin, "metrics"), listener, alone, &stopping);
            tasks.spawn(named("metrics listener", serving));
        }
        let of_operators = service("admin", admin::routes(admin_state.clone()), &limits, &secured.admin);
        let serving = listen(watched(Task::Admin, "admin"), private, of_operators, &stopping);
        tasks.spawn(named("admin listener", serving));
        let certificates = Arc::new(Notify::new());
        let Secured { public: public_tls, by_files, by_acme, .. } = secured;
        if !by_files.is_empty() {
            let watched = watched(Task::Certificates, "certificates");
            let renewed = renew(watched, by_files, certificates.clone(), stopping.clone());
            tasks.spawn_on(named("certificates", renewed), http_executor.handle());
        }
        let acme = Arc::new(Notify::new());
        if let Some(keeper) = by_acme {
            let watched = watched(Task::Certificates, "acme");
            let kept = keep_certificate(watched, keeper, acme.clone(), stopping.clone());
            tasks.spawn_on(named("acme", kept), http_executor.handle());
        }
        let looks = look(
            watched(Task::History, "history"),
            operator.clone(),
            streams.memory.clone(),
            stopping.clone(),
        );
        tasks.spawn(named("history", looks));
        tasks.spawn(named("books", keep_books(watched(Task::Books, "books"), sessions.clone(), news)));
        let rights =
            watch_rights(watched(Task::Access, "access"), access.clone(), sessions.clone(), stopping.clone());
        tasks.spawn_on(named("access", rights), http_executor.handle());
        let codecs = watch_codecs(
            watched(Task::Books, "codecs"),
            registry.clone(),
            sessions.clone(),
            stopping.clone(),
        );
        tasks.spawn(named("codecs", codecs));
        let (over, drained) = mpsc::channel(1);
        let ends_of_drains =
            end_drains(watched(Task::Drain, "drain"), drain, sessions.clone(), over, stopping.clone());
        tasks.spawn(named("drain", ends_of_drains));
        streams.apply(config, |_| false).map_err(ServerError::Thread)?;
        let (watch, watch_wanted) = watch::channel(config.config.watch);
        if let Some(path) = configured.path() {
            let watched = watched(Task::Changes, "watch of the file");
            let (path, changes) = (path.to_owned(), operator.changes.clone());
            let follow = follow_file(watched, path, changes, watch_wanted, stopping.clone());
            tasks.spawn(named("watch of the file", follow));
        }
        let tables = Tables {
            watch,
            origins,
            hosts: admin_state.hosts.clone(),
            access,
            mediamtx: admin_state.mediamtx.clone(),
            clients,
            operators,
            whep: whep.clone(),
            announcer: announcer.clone(),
        };
        let (told, rereads) = watch::channel(Rereads::default());
        let now = configured.clone();
        let live = Live {
            now,
            tables,
            streams: streams.clone(),
            making,
            operator,
            listeners,
            certificates,
            acme,
            rereads: told,
        };
        let changes = live::serve(watched(Task::Changes, "changes"), live, orders, stopping.clone());
        tasks.spawn(named("changes", changes));
        let (pulse, stop_watching) = (watchdog_pulse.clone(), stopping.clone());
        let setup = WatchdogSetup { whep, announcer, ends: ends.clone(), pulse, stop: stop_watching };
        let failure = watchdog::start(setup).map_err(ServerError::Thread)?;
        let ports = workers.iter().map(|worker| worker.handle.port).collect();
        let tcp_ports = workers.iter().filter_map(|worker| worker.handle.tcp_port).collect();
        let _http_executor = http_executor;
        Ok(Server {
            listeners,
            ports,
            tcp_ports,
            announced,
            workers,
            admin_state,
            stop,
            tasks,
            streams,
            tls: public_tls,
            sources,
            failure,
            drained,
            rereads,
            _http_executor,
        })
    }
}

/// Runs a future on an executor; its panic is ours.
async fn on<T: Send + 'static>(executor: &Executor, future: impl Future<Output = T> + Send + 'static) -> T {
    match executor.handle().spawn(future).await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
