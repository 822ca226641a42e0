//! What the kernel says of a process or of one of its threads in `/proc/.../stat` (proc(5)).
//!
//! Owns the reading of that line. Never opens it.

use std::time::Duration;

/// Milliseconds of a clock tick: `USER_HZ` is 100 on every Linux that this runs on.
const TICK_MS: u64 = 10;

/// Bytes of a page, on every Linux that this runs on.
const PAGE: u64 = 4_096;

/// A process or a thread at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// `R` runs or could run, `S` sleeps, `D` waits in the kernel, `T` and `t` are stopped.
    pub state: char,
    /// Time on a processor so far, in steps of 10 ms.
    pub cpu: Duration,
    /// Threads of the process.
    pub threads: u64,
    /// Addresses that the process has taken.
    pub virtual_bytes: u64,
    /// Memory of the process.
    pub resident_bytes: u64,
    /// When it began, since the machine did, in steps of 10 ms.
    pub began: Duration,
}

impl Stat {
    /// Reads the line; nothing if it is none.
    pub fn parse(line: &str) -> Option<Stat> {
        // The second field, the name in parentheses, may hold spaces and parentheses.
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let ticks = number(14)?.checked_add(number(15)?)?;
        Some(Stat {
            state: fields.first()?.chars().next()?,
            cpu: Duration::from_millis(ticks.checked_mul(TICK_MS)?),
            threads: number(20)?,
            virtual_bytes: number(23)?,
            began: Duration::from_millis(number(22)?.checked_mul(TICK_MS)?),
            resident_bytes: number(24)?.checked_mul(PAGE)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_name_holds() {
        let line =
            "71 (a) R (b) D 1 71 71 0 -1 4194304 5 0 0 0 130 25 0 0 -20 0 9 0 7 99 12 18446744073709551615";
        let expected = Stat {
            state: 'D',
            cpu: Duration::from_millis(1_550),
            threads: 9,
            virtual_bytes: 99,
            resident_bytes: 12 * 4_096,
            began: Duration::from_millis(70),
        };
        assert_eq!(Stat::parse(line), Some(expected));
        for bad in ["", "71 (a", "71 (a) ", "71 (a) R 1 71", &line.replace("130", "-1")] {
            assert_eq!(Stat::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn our_own_line_is_read() {
        let line = std::fs::read_to_string("/proc/thread-self/stat").expect("procfs");
        let stat = Stat::parse(&line).expect("a line");
        assert!(stat.state == 'R' && stat.threads >= 1 && stat.resident_bytes > 0, "{stat:?}");
    }
}
