//! Trains of one stream on their way to its viewers: in which order, and when.
//!
//! Owns how far each train has come (a place in the stream's list of viewers), the pace of large
//! pictures, and the wait of sound for a picture to share a message with. A train leaves when every
//! viewer had its turn, or when it has waited too long for the socket. Knows no viewer, reads no clock
//! and sends nothing: [`FanOut::peek`] names the next turn, [`FanOut::advance`] says that it was taken.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_media::Kind;

use crate::fault::{Site, strikes};
use crate::peer::STALL;
use crate::track::Train;
use crate::viewer::AROUND_PAYLOAD_MAX;

/// Time between two portions of a paced picture: what epoll can wait for.
const STEP: Duration = Duration::from_millis(1);

/// How long media may wait for its turn while others have theirs: for a busy core or a line at its rate.
///
/// A keyframe of 40 KB to 1,000 viewers keeps a line of 1 Gbit/s busy for a third of a second, and those at
/// the end of the list would never get one if this was shorter. Raising it lets an overloaded server lag.
const PATIENCE: Duration = Duration::from_millis(500);

/// A picture that waits for this long beyond its time is late: sound may ride with it though it is a piece of a
/// larger one. Lower lets sound wait for large pictures, higher sends it on its own while too much is to do.
const RIDE: Duration = Duration::from_millis(10);

/// Sound held back, or behind one picture, at the most: what comes sooner than one packet in 10 ms is sent. More
/// makes sound wait longer, less makes it dearer.
const HELD_MAX: usize = 4;

/// What a picture's message costs beside its bytes, as so many of them: about a microsecond of the kernel's. Sound is
/// counted by its bytes alone, for the more there is to do the more of it rides. Too much or too little makes it harder
/// to tell what can be done from a few pictures.
const MESSAGE: usize = 1_500;

/// When media leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// A picture of more than one train is spread over this time, and never over more than half a
    /// frame interval. Zero sends it at once.
    pub spread: Duration,
    /// Sound waits this long at the most for a picture to share a message with. Zero sends it at once.
    pub audio_hold: Duration,
}

/// One train and what goes behind it, for every viewer in turn.
pub(crate) struct Job {
    train: Arc<Train>,
    /// Sound that shares the message of the train's last packet, if it fits.
    companions: Vec<Arc<Train>>,
    /// Bytes of all its datagrams at the most.
    pub(crate) bytes: usize,
    /// What it costs for one viewer, as bytes.
    cost: usize,
    /// The next viewer's place in the list.
    place: usize,
    /// Its patience begins here.
    since: Instant,
    /// The portions of its picture end here.
    paced_until: Option<Instant>,
}

/// What [`FanOut::expire`] dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Expired {
    /// Datagrams, over all viewers who had no turn.
    pub(crate) datagrams: u64,
    /// How many at the front of the list had their turn: they go to its end, so that it is not the same
    /// ones who go without each time. 0 if the order must stay.
    pub(crate) served: usize,
}

/// The trains of one stream that some viewer has not had yet.
pub(crate) struct FanOut {
    pacing: Pacing,
    pictures: VecDeque<Job>,
    sound: VecDeque<Job>,
    held: Vec<Arc<Train>>,
    held_until: Option<Instant>,
    /// Whether the turn that was given last is of sound.
    sound_turn: bool,
    /// Sound went on its own while a picture waited: that is next.
    owed: bool,
    /// Turns left of the portion of a paced picture; the next one begins at `portion_due`.
    portion: usize,
    portion_due: Option<Instant>,
}

impl FanOut {
    pub(crate) fn new(pacing: Pacing) -> FanOut {
        FanOut {
            pacing,
            pictures: VecDeque::new(),
            sound: VecDeque::new(),
            held: Vec::new(),
            held_until: None,
            sound_turn: false,
            owed: false,
            portion: 0,
            portion_due: None,
        }
    }

    /// What comes from now on leaves as `pacing` says.
    pub(crate) fn tune(&mut self, pacing: Pacing) {
        self.pacing = pacing;
    }

    /// Takes a picture's train; `interval` is the time between pictures, if known.
    ///
    /// Its patience begins now and not when it was received: after a stall of the whole machine it is better
    /// to be late for once than to wait for the next keyframe.
    pub(crate) fn push_picture(&mut self, now: Instant, train: Arc<Train>, interval: Option<Duration>) {
        let whole = train.starts_frame && train.ends_frame;
        let spread = self.pacing.spread.min(interval.unwrap_or(Duration::ZERO) / 2);
        let paced = !whole && !spread.is_zero();
        // Sound goes along only with what leaves at once, and never past sound that waits already.
        let idle = self.pictures.is_empty() && self.sound.is_empty();
        let companions = if idle && whole { self.release() } else { Vec::new() };
        let paced_until = paced.then(|| self.paced_until(now + spread, &train));
        let since = paced_until.unwrap_or(now);
        self.pictures.push_back(Job { paced_until, ..Job::new(train, companions, since) });
    }

    /// Takes a train of sound. It is held only while `pictures` flow, else it would wait for nothing; a picture that came just
    /// before it, and goes out next, takes it along.
    pub(crate) fn push_sound(&mut self, now: Instant, train: Arc<Train>, pictures: bool) {
        let hold = self.pacing.audio_hold;
        self.held.push(train);
        let until = *self.held_until.get_or_insert(now + hold);
        let boards = self.pictures.back().is_some_and(|job| job.takes(self.held.len(), now));
        if !pictures || hold.is_zero() || now >= until || self.held.len() >= HELD_MAX || boards {
            self.send_held(now);
        }
    }

    /// Whether anything waits, for its time or for its turn.
    pub(super) fn is_idle(&self) -> bool {
        self.pictures.is_empty() && self.sound.is_empty() && self.held.is_empty()
    }

    /// When [`FanOut::peek`] has a turn to give: a past time if it has one already.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let front = if self.sound_first(now) { self.sound.front() } else { self.pictures.front() };
        let job = front.map(|job| match self.portion_due.filter(|_| job.paced_until.is_some()) {
            Some(due) if self.portion == 0 => due,
            _ => now,
        });
        [job, self.held_until].into_iter().flatten().min()
    }

    /// The next turn: which of the `viewers` in the list gets which job.
    pub(crate) fn peek(&mut self, now: Instant, viewers: usize) -> Option<(usize, &Job)> {
        if self.held_until.is_some_and(|until| until <= now) {
            self.send_held(now);
        }
        // Those who had not had their turn may all have left.
        for lane in [&mut self.pictures, &mut self.sound] {
            while lane.pop_front_if(|job| job.place >= viewers).is_some() {}
        }
        self.board(now);
        self.sound_turn = self.sound_first(now);
        let job = self.front()?;
        if let Some(until) = job.paced_until
            && self.portion == 0
        {
            if self.portion_due.is_some_and(|due| now < due) {
                return None;
            }
            self.portion = self.next_portion(now, until, viewers);
            self.portion_due = Some(now + STEP);
        }
        self.front().map(|job| (job.place, job))
    }

    /// The turn that [`FanOut::peek`] gave was taken.
    pub(crate) fn advance(&mut self, viewers: usize) {
        self.skip(1, viewers);
    }

    /// The turn that [`FanOut::peek`] gave, and those of the next ones in the list, are over: `turns` of them.
    pub(super) fn skip(&mut self, turns: usize, viewers: usize) {
        let lane = if self.sound_turn { &mut self.sound } else { &mut self.pictures };
        let Some(job) = lane.front_mut() else { return };
        job.place += turns;
        if job.paced_until.is_some() {
            self.portion = self.portion.saturating_sub(turns);
        }
        if job.place >= viewers {
            lane.pop_front();
            self.owed = self.sound_turn && !self.pictures.is_empty();
        }
        if self.pictures.front().is_none_or(|job| job.paced_until.is_none()) {
            (self.portion, self.portion_due) = (0, None);
        }
    }

    /// Drops what has waited too long: less long if the socket is `stalled`.
    pub(crate) fn expire(&mut self, now: Instant, stalled: bool, viewers: usize) -> Expired {
        let patience = if stalled { STALL } else { PATIENCE };
        let mut expired = Expired::default();
        for lane in [&mut self.pictures, &mut self.sound] {
            while let Some(job) = lane.pop_front_if(|job| {
                now.saturating_duration_since(job.since) >= patience || strikes(Site::TrainWaitedTooLong)
            }) {
                expired.datagrams += (job.packets() * viewers.saturating_sub(job.place)) as u64;
                expired.served = expired.served.max(job.place);
            }
        }
        // Whoever is in the middle of the list for another train must stay there.
        if self.pictures.iter().chain(&self.sound).any(|job| job.place > 0) {
            expired.served = 0;
        }
        expired
    }

    /// The viewer at `place` left the list, and those behind it moved up.
    pub(super) fn removed(&mut self, place: usize) {
        for job in self.pictures.iter_mut().chain(&mut self.sound) {
            job.place -= usize::from(job.place > place);
        }
    }

    /// Since when the oldest train waits, for longer than it shall.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        [&self.pictures, &self.sound].into_iter().filter_map(|lane| Some(lane.front()?.since)).min()
    }

    fn front(&self) -> Option<&Job> {
        if self.sound_turn { self.sound.front() } else { self.pictures.front() }
    }

    /// Sound does not wait behind a picture that is paced. But where pictures carry sound, that is the older one;
    /// and on its own it takes turns with pictures that wait, or fifty packets a second would leave none to them.
    fn sound_first(&self, now: Instant) -> bool {
        let (Some(sound), Some(picture)) = (self.sound.front(), self.pictures.front()) else {
            return !self.sound.is_empty();
        };
        let pauses = picture.paced_until.is_some() && self.portion == 0;
        let pauses = pauses && self.portion_due.is_some_and(|due| now < due);
        let older = || self.pictures.iter().any(|job| !job.companions.is_empty());
        sound.place > 0 || ((!self.owed || pauses) && !older())
    }

    /// Puts sound that waits behind a picture that waits too: a message less for each viewer the more there is to do.
    fn board(&mut self, now: Instant) {
        while let Some(sound) = self.sound.front().filter(|sound| sound.place == 0) {
            // Never before sound that rides already.
            let last = self.pictures.iter().rposition(|job| !job.companions.is_empty()).unwrap_or(0);
            let trains = 1 + sound.companions.len();
            let mut waiting = self.pictures.iter_mut().skip(last);
            let Some(picture) = waiting.find(|job| job.takes(trains, now)) else { return };
            let Some(sound) = self.sound.pop_front() else { return };
            picture.bytes += sound.bytes;
            picture.cost += sound.cost;
            picture.companions.push(sound.train);
            picture.companions.extend(sound.companions);
        }
    }

    /// How many turns of the picture in front may be taken now: evenly spread over the steps left.
    fn next_portion(&self, now: Instant, until: Instant, viewers: usize) -> usize {
        let paced = self.pictures.iter().take_while(|job| job.paced_until == Some(until));
        let turns: usize = paced.map(|job| viewers.saturating_sub(job.place)).sum();
        let left = until.saturating_duration_since(now);
        let steps = (left.as_micros() / STEP.as_micros()).max(1) as usize;
        turns.div_ceil(steps)
    }

    /// Where the portions of a picture end; all of its trains have one end.
    fn paced_until(&self, until: Instant, train: &Train) -> Instant {
        let before = self.pictures.back().filter(|_| !train.starts_frame);
        before.and_then(|job| job.paced_until).unwrap_or(until)
    }

    fn release(&mut self) -> Vec<Arc<Train>> {
        self.held_until = None;
        std::mem::take(&mut self.held)
    }

    /// Sends sound that waited for a picture on its own.
    fn send_held(&mut self, now: Instant) {
        let mut trains = self.release().into_iter();
        // What waits for its first turn may wait with it: it is one message then, or fewer.
        while let Some(job) =
            self.sound.back_mut().filter(|job| job.place == 0 && job.companions.len() < HELD_MAX)
            && let Some(train) = trains.next()
        {
            job.bytes += most_of(&train);
            job.cost += cost_of(&train);
            job.companions.push(train);
        }
        let Some(train) = trains.next() else { return };
        self.sound.push_back(Job::new(train, trains.collect(), now));
    }
}

impl Job {
    fn new(train: Arc<Train>, companions: Vec<Arc<Train>>, since: Instant) -> Job {
        let all = || std::iter::once(&train).chain(&companions);
        let bytes = all().map(|train| most_of(train)).sum();
        let cost = all().map(|train| cost_of(train)).sum();
        Job { place: 0, since, paced_until: None, bytes, cost, companions, train }
    }

    /// Whether so many trains of sound may travel behind it still.
    fn takes(&self, trains: usize, now: Instant) -> bool {
        let whole = self.paced_until.is_none() && self.train.starts_frame && self.train.ends_frame;
        let late = now.saturating_duration_since(self.since) >= RIDE;
        self.place == 0 && self.companions.len() + trains <= HELD_MAX && (whole || late)
    }

    /// What it costs for one viewer, as bytes.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// Its packets, for one viewer.
    pub(super) fn packets(&self) -> usize {
        std::iter::once(&self.train).chain(&self.companions).map(|train| train.packets.len()).sum()
    }

    /// The train that others may travel behind.
    pub(crate) fn train(&self) -> &Train {
        &self.train
    }

    /// Its trains in the order in which they cost the fewest messages, each with the padding that lets the next one share its
    /// message.
    pub(crate) fn trains(&self) -> impl Iterator<Item = (&Arc<Train>, u8)> {
        // Behind the picture there is room for the one that is shorter; before a packet that begins a message there is, too.
        let ahead = usize::from(self.companions.len() > 1 && begins_shorter(&self.train));
        let order = || {
            let (before, behind) = self.companions.split_at(ahead);
            before.iter().chain(std::iter::once(&self.train)).chain(behind)
        };
        let next = order().skip(1).map(Some).chain([None]);
        order().zip(next).map(|(train, next)| (train, next.map_or(0, |next| padding(train, next))))
    }
}

/// Whether a picture's first packet is shorter than its second, and so a message of its own: a camera's note about it (SEI).
fn begins_shorter(picture: &Train) -> bool {
    picture.packets.len() > 1 && picture.packets[0].len() < picture.packets[1].len()
}

/// What a train costs for one viewer, as bytes.
pub(super) fn cost_of(train: &Train) -> usize {
    let message = if train.codec.kind() == Kind::Video { MESSAGE } else { 0 };
    train.bytes() + around(train) + message
}

/// Bytes of a train's datagrams at the most, for whoever is sent the most of it.
fn most_of(train: &Train) -> usize {
    train.bytes_most() + around(train)
}

fn around(train: &Train) -> usize {
    train.packets.len() * AROUND_PAYLOAD_MAX
}

/// Bytes behind the last packet of `train` that make it as long as the others, so that the first of
/// `next` can be the shorter last one of the same message; 0 if it is, or cannot be.
fn padding(train: &Train, next: &Train) -> u8 {
    let count = train.packets.len();
    let (last, following) = (&train.packets[count - 1], &next.packets[0]);
    let wanted = match count {
        // One packet begins the message: any length will do that is not shorter than the next.
        1 if train.codec.kind() == Kind::Audio || last.len() < following.len() => following.len(),
        1 => last.len(),
        _ => train.packets[count - 2].len(),
    };
    if following.len() > wanted {
        return 0;
    }
    u8::try_from(wanted.saturating_sub(last.len())).unwrap_or(0)
}

#[cfg(test)]
#[path = "fan_out_tests.rs"]
mod tests;
