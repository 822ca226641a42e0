//! What makes the figures of a report doubtful, in words.
//!
//! Owns the bounds from which a figure is no longer the server's but the generator's, and what accuses a
//! server: figures that look good because little was delivered, or the same again.

use std::time::Duration;

use super::{Generator, Report};

/// Part of the time from which a thread of the generator is taken to have been the limit: it ran, or would
/// have if something else had not had its core.
const BUSY: f64 = 0.9;

/// Part of the time that a receiving thread may wait for a core before times and gaps are doubtful. The
/// server's own waiting is only shown: with more threads than cores it waits for itself.
const KEPT_WAITING: f64 = 0.05;

/// How late a join may begin.
const LATE: Duration = Duration::from_millis(100);

/// Part of the datagrams that may be nothing that the answer named: a server's probes, say.
const UNKNOWN: f64 = 0.01;

impl Report {
    /// Everything that is doubtful; `lateness` is that of the join that was begun latest.
    pub(super) fn doubts(&self, lateness: Duration) -> Vec<String> {
        let mut doubts = Vec::new();
        self.doubt_the_generator(lateness, &mut doubts);
        self.doubt_the_server(&mut doubts);
        self.doubt_the_delays(&mut doubts);
        if self.measured_seconds == 0.0 {
            doubts.push("nothing was measured: the test ended while viewers were still joining".to_owned());
        }
        doubts
    }

    fn doubt_the_generator(&self, lateness: Duration, doubts: &mut Vec<String>) {
        let Generator { busiest_thread, threads, occupied, waited, kernel_drops, .. } = self.generator;
        if occupied > BUSY {
            doubts.push(format!(
                "the generator was the limit: a receiving thread had {:.0} % of its time left (the busiest used {:.0} % of \
                 a core, the rest something else had its core); give it more --threads on cores of their own, or another \
                 machine. The server's figures say nothing",
                (1.0 - occupied).max(0.0) * 100.0,
                busiest_thread * 100.0
            ));
        }
        let Generator { joining_busiest_thread, joining_coordinator, .. } = self.generator;
        let joining = joining_busiest_thread.max(joining_coordinator);
        if joining > BUSY {
            let thread = if joining == joining_coordinator {
                "the thread that posts offers"
            } else {
                "a receiving thread"
            };
            doubts.push(format!(
                "the generator was busy while viewers joined: {thread} used {:.0} % of a core in the worst second, and \
                 times to connect and to the first packet may be its own; a lower --rate tells",
                joining * 100.0
            ));
        }
        if threads == 0.0 && self.packets_per_second > 0.0 {
            doubts.push(
                "this kernel does not tell how much CPU a thread used (/proc/thread-self/schedstat): whether the \
                 generator was the limit is not known"
                    .to_owned(),
            );
        }
        if kernel_drops > 0 {
            doubts.push(format!(
                "{kernel_drops} packets reached this machine and were dropped before the generator read them: \
                 that loss is the generator's (net.core.rmem_max below 1048576, or too few --threads)"
            ));
        }
        if waited > KEPT_WAITING {
            doubts.push(format!(
                "a receiving thread was ready to run and had no core for {:.0} % of the test: it shares its core, \
                 and times, gaps and failures may come from that",
                waited * 100.0
            ));
        }
        if lateness > LATE {
            doubts.push(format!(
                "joins were begun up to {} ms late: --rate is more than the generator can do here",
                lateness.as_millis()
            ));
        }
    }

    fn doubt_the_server(&self, doubts: &mut Vec<String>) {
        let (totals, verified) = (&self.totals, &self.verified);
        if self.silent > 0 {
            doubts.push(format!(
                "{} viewers connected and never got a packet: the server took them and sends nothing",
                self.silent
            ));
        }
        if self.stalled > 0 {
            doubts.push(format!(
                "{} viewers had no packet for more than 2 s in one of their streams: the longest gap tells for how long",
                self.stalled
            ));
        }
        if verified.forged > 0 {
            doubts.push(format!(
                "{} of {} packets of verifying viewers are not authentic: sealed under another key, or damaged. A \
                 browser discards them; what other viewers count is what headers claim",
                verified.forged,
                verified.forged + verified.authentic
            ));
        }
        // Retransmissions that crossed the packet itself come twice too, and what was doubled here.
        let explained = totals.nacked + totals.impaired.doubled;
        let again = totals.counts.duplicates.saturating_sub(explained);
        if again > 0 {
            doubts.push(format!(
                "{again} packets came again although nobody had asked for them: the server repeats itself, or the way \
                 doubles. Packets a second, bits a second and costs per packet count them"
            ));
        }
        if totals.counts.restarts > 0 {
            doubts.push(format!(
                "numbering went back {} times: a browser takes packets under old numbers for replays and discards them",
                totals.counts.restarts
            ));
        }
        if verified.frozen > 0 {
            doubts.push(format!(
                "{} of {} verified frames show the picture of the two before them: the picture is frozen",
                verified.frozen, verified.frames
            ));
        }
        if totals.unknown as f64 > UNKNOWN * totals.packets as f64 {
            doubts.push(format!(
                "{} datagrams are nothing that the answer named; packets a second and costs per packet may count them",
                totals.unknown
            ));
        }
    }

    fn doubt_the_delays(&self, doubts: &mut Vec<String>) {
        if self.verified.from_future > 0 {
            doubts.push(format!(
                "{} pictures came before they were sent, so the clocks of cameras and generator differ, or one was set: \
                 delays say nothing",
                self.verified.from_future
            ));
        }
        if self.verified.again * 2 > self.verified.frames {
            doubts.push(format!(
                "{} of {} verified frames had been shown to their viewer before: the server shows old pictures",
                self.verified.again, self.verified.frames
            ));
        }
        if self.verifiers > 0 && self.verified.frames == 0 && self.verified.forged == 0 {
            doubts.push(
                "no frame could be verified: the stream has no H.264 or H.265, or nothing came".to_owned(),
            );
        }
    }
}
