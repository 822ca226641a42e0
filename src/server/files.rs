//! Open files: how many connections they leave room for, and a word where that is fewer than was asked for.

use sluice_config::Config;
use sluice_io::affinity;

use super::ServerError;
use crate::descriptors;

/// How many connections there may be.
pub(super) fn connections(config: &Config) -> Result<descriptors::Plan, ServerError> {
    let limit = sluice_io::descriptors::raise().unwrap_or_else(|error| {
        tracing::warn!(%error, "the kernel does not say how many files may be open");
        u64::MAX
    });
    let shards = config.shard_count(affinity::cores().len());
    let shards = (shards.into(), config.ice.tcp_listen.is_some());
    let plan = descriptors::plan(config.http.connections, config.streams_max(), shards, limit)?;
    if plan.lowered {
        tracing::warn!(
            "this process may have {limit} open files: http.connections is {}, so that some stay for cameras. \
             Raise the limit (LimitNOFILE= in a systemd unit, `ulimit -Hn` in a shell) for more",
            plan.connections
        );
    }
    Ok(plan)
}
