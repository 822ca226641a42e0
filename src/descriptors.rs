//! Descriptors: who may have how many of the files that the kernel lets this process open.
//!
//! Owns the sum. HTTP gets what is left when everything else has its own and cameras have a reserve, so
//! that no number of connections can keep a camera from coming back. Never opens anything.

/// Descriptors that nothing is planned to use: for cameras that are torn down and connected at once, name
/// resolution, and what the sum forgets. Fewer let a rush of connections starve a camera.
const RESERVE: u64 = 64;

/// Of one source: its executor's three, its connection, over UDP four sockets, and old sessions that are
/// being torn down.
const PER_SOURCE: u64 = 12;

/// Of one shard: its socket, its epoll, its waker.
const PER_SHARD: u64 = 3;

/// Of the process: standard streams and their duplicates, the executors of HTTP and of the main thread,
/// listeners, metrics being read.
const PROCESS: u64 = 24;

/// Connections of the admin listener, which nobody but the operator reaches: scrapes, probes, pages that follow.
pub const ADMIN_CONNECTIONS: u32 = 64;

/// Connections of the listener of profiles, if there is one. It serves one at a time, and they come out of the reserve.
pub const PROFILE_CONNECTIONS: u32 = 4;

/// Connections of the listener of metrics, if there is one: a few that scrape. They come out of the reserve.
pub const METRICS_CONNECTIONS: u32 = 8;

/// Connections of the public listener where the configuration leaves it to us. Media uses none.
const CONNECTIONS: u32 = 4_096;

/// TCP connections of viewers to one shard at the most, where there is a listener for them: at eight times the cost of a
/// viewer by UDP, more than a core serves.
const TCP_CONNECTIONS: u64 = 1_024;

/// With fewer than this, one browser that loads the page keeps everybody else waiting.
const CONNECTIONS_MIN: u64 = 4;

/// More descriptors are needed than there may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{asked} and {sources} streams need {needed} open files, and this process may have {limit}: {way_out}, or \
     raise the limit (LimitNOFILE= in a systemd unit, `ulimit -Hn` in a shell)"
)]
pub struct TooFew {
    asked: String,
    sources: u64,
    needed: u64,
    limit: u64,
    way_out: String,
}

/// How many connections the public listener takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Connections.
    pub connections: u32,
    /// Fewer than there would be with a higher limit.
    pub lowered: bool,
    /// TCP connections of viewers to each shard.
    pub of_viewers: usize,
}

/// Plans for a configuration of `sources` and `shards`, which take viewers by TCP if `tcp`. `connections` is `http.connections`, 0 to leave it to
/// us; `limit` is what the kernel allows.
///
/// # Errors
///
/// [`TooFew`] when `limit` is not enough for the connections asked for, or for anything at all.
pub fn plan(
    connections: u32,
    sources: usize,
    (shards, tcp): (usize, bool),
    limit: u64,
) -> Result<Plan, TooFew> {
    let (sources, shards) = (sources as u64, shards as u64);
    // A quarter of them all at the most, and the listener's own.
    let of_viewers = if tcp { TCP_CONNECTIONS.min(limit / 4 / shards.max(1)) } else { 0 };
    let per_shard = PER_SHARD + of_viewers + u64::from(tcp);
    let of_viewers = of_viewers as usize;
    let others = PROCESS + u64::from(ADMIN_CONNECTIONS) + sources * PER_SOURCE + shards * per_shard;
    let too_few = |asked: String, connections: u64, way_out: String| TooFew {
        asked,
        sources,
        needed: others + RESERVE + connections,
        limit,
        way_out,
    };
    let free = limit.saturating_sub(others);
    if connections > 0 {
        let left = free.saturating_sub(RESERVE);
        if u64::from(connections) <= left {
            return Ok(Plan { connections, lowered: false, of_viewers });
        }
        let way_out = match left {
            0 => "serve fewer streams".to_owned(),
            _ => format!("set http.connections to {left} or less"),
        };
        return Err(too_few(format!("http.connections = {connections}"), connections.into(), way_out));
    }
    // Where there are few of them, cameras and connections get the same.
    let left = free.saturating_sub(RESERVE).max(free / 2);
    if left < CONNECTIONS_MIN {
        let way_out = "serve fewer streams".to_owned();
        return Err(too_few(format!("{CONNECTIONS_MIN} connections"), CONNECTIONS_MIN, way_out));
    }
    let connections = u32::try_from(left).unwrap_or(u32::MAX).min(CONNECTIONS);
    Ok(Plan { connections, lowered: connections < CONNECTIONS, of_viewers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_limit_is_enough_for_everything() {
        assert_eq!(
            plan(0, 64, (15, false), 524_288),
            Ok(Plan { connections: 4_096, lowered: false, of_viewers: 0 })
        );
        assert_eq!(
            plan(100_000, 64, (15, true), 524_288),
            Ok(Plan { connections: 100_000, lowered: false, of_viewers: 1_024 })
        );
    }

    #[test]
    fn connections_that_nobody_asked_for_give_way_and_leave_the_reserve() {
        let Plan { connections, lowered, .. } = plan(0, 4, (1, false), 1_024).unwrap();
        assert!(lowered);
        let others = PROCESS + u64::from(ADMIN_CONNECTIONS) + 4 * PER_SOURCE + PER_SHARD;
        assert_eq!(u64::from(connections) + others + RESERVE, 1_024);
        let small = plan(0, 1, (1, false), 128).unwrap();
        assert_eq!(plan(0, 1, (1, false), 112), Ok(Plan { connections: 4, lowered: true, of_viewers: 0 }));
        assert!(small.lowered && (8..60).contains(&small.connections), "{small:?}");
    }

    #[test]
    fn connections_that_were_asked_for_are_refused_in_words() {
        let refusal = plan(4_096, 4, (1, false), 1_024).unwrap_err().to_string();
        assert_eq!(
            refusal,
            "http.connections = 4096 and 4 streams need 4299 open files, and this process may have 1024: set \
             http.connections to 821 or less, or raise the limit (LimitNOFILE= in a systemd unit, `ulimit -Hn` \
             in a shell)"
        );
        assert_eq!(
            plan(821, 4, (1, false), 1_024),
            Ok(Plan { connections: 821, lowered: false, of_viewers: 0 })
        );
        assert!(plan(822, 4, (1, false), 1_024).is_err());
    }

    #[test]
    fn viewers_by_tcp_get_a_quarter_and_leave_the_rest() {
        let with = plan(0, 4, (2, true), 1_024).unwrap();
        assert_eq!(with.of_viewers, 128);
        assert!(with.connections >= 500, "{with:?}");
    }

    #[test]
    fn too_many_streams_are_refused_in_words() {
        let refusal = plan(0, 100, (1, false), 1_024).unwrap_err().to_string();
        assert!(refusal.starts_with("4 connections and 100 streams need 1359 open files"), "{refusal}");
        assert!(refusal.contains("1024: serve fewer streams, or raise the limit"), "{refusal}");
        assert!(plan(16, 100, (1, false), 1_024).is_err());
    }
}
