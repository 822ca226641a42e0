//! Faults that tests let happen: places in the code where something fails that seldom fails by itself.
//!
//! Owns the list of sites. A site has no code behind it: where it strikes, what happens is what happens when the real
//! thing fails there, so that a fault is always one that there is. Builds without debug assertions, and so every release,
//! have no sites: `strikes` is `false` there and folds away. Elsewhere they rest until a test begins [`Faults`], and then
//! strike once in a hundred times, by a seed, on the test's own thread; those that a life seldom reaches once in four.

/// Where something fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each says what fails")]
pub enum Site {
    CheckIsNotAuthentic,
    NoRoomForPath,
    TargetIsSilent,
    ReportDoesNotOpen,
    MediaNeverReachedShard,
    SocketIsFull,
    SocketIsFullForCatchUp,
    TrainWaitedTooLong,
    DatagramDoesNotFit,
    TimeoutIsLate,
    RingLetGoOfPast,
    RingLetGoOfPacket,
    BudgetIsSpent,
    ReplayIsRefused,
    LayerCannotBegin,
}

impl Site {
    /// All of them.
    pub const ALL: [Site; 15] = [
        Site::CheckIsNotAuthentic,
        Site::NoRoomForPath,
        Site::TargetIsSilent,
        Site::ReportDoesNotOpen,
        Site::MediaNeverReachedShard,
        Site::SocketIsFull,
        Site::SocketIsFullForCatchUp,
        Site::TrainWaitedTooLong,
        Site::DatagramDoesNotFit,
        Site::TimeoutIsLate,
        Site::RingLetGoOfPast,
        Site::RingLetGoOfPacket,
        Site::BudgetIsSpent,
        Site::ReplayIsRefused,
        Site::LayerCannotBegin,
    ];

    /// Of how many times that it is reached it strikes once.
    #[cfg(debug_assertions)]
    const fn one_in(self) -> u32 {
        match self {
            // A few times in a viewer's minute.
            Site::CheckIsNotAuthentic
            | Site::NoRoomForPath
            | Site::ReplayIsRefused
            | Site::LayerCannotBegin => 4,
            _ => 100,
        }
    }
}

#[cfg(not(debug_assertions))]
pub(crate) const fn strikes(_site: Site) -> bool {
    false
}

#[cfg(debug_assertions)]
pub(crate) use armed::strikes;

#[cfg(debug_assertions)]
pub use armed::Faults;

#[cfg(debug_assertions)]
mod armed {
    use std::cell::{Cell, RefCell};
    use std::collections::HashMap;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::Site;

    thread_local! {
        /// Apart from the rest, so that a site costs next to nothing while nobody tests.
        static ARMED: Cell<bool> = const { Cell::new(false) };
        static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
    }

    struct State {
        seed: u64,
        /// Of each site what decides, and how often it struck. One of its own, so that no site depends on how often others are
        /// reached.
        sites: HashMap<Site, (StdRng, u64)>,
    }

    /// While there is one, sites that this thread reaches strike unless it [rests](Faults::rest).
    #[derive(Debug)]
    pub struct Faults(());

    impl Faults {
        /// From now on sites strike as `seed` says.
        pub fn begin(seed: u64) -> Faults {
            STATE.set(Some(State { seed, sites: HashMap::new() }));
            ARMED.set(true);
            Faults(())
        }

        /// Whether sites rest from now on.
        pub fn rest(&self, rests: bool) {
            ARMED.set(!rests);
        }

        /// How often a site struck so far.
        pub fn struck(&self, site: Site) -> u64 {
            STATE
                .with_borrow(|state| state.as_ref()?.sites.get(&site).map(|(_, struck)| *struck))
                .unwrap_or_default()
        }
    }

    impl Drop for Faults {
        fn drop(&mut self) {
            ARMED.set(false);
            STATE.set(None);
        }
    }

    /// Whether what `site` stands for fails this time.
    pub(crate) fn strikes(site: Site) -> bool {
        ARMED.get() && STATE.with_borrow_mut(|state| state.as_mut().is_some_and(|state| state.reach(site)))
    }

    impl State {
        fn reach(&mut self, site: Site) -> bool {
            let seed = self.seed ^ ((site as u64 + 1) << 32);
            let (random, struck) = self.sites.entry(site).or_insert_with(|| (StdRng::seed_from_u64(seed), 0));
            let strikes = random.random_ratio(1, site.one_in());
            *struck += u64::from(strikes);
            strikes
        }
    }
}
