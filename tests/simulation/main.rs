//! Two engines and virtual time: the real `Shard` against str0m clients over a seeded, faulty link.
//!
//! No sockets and no real clock: every instant is counted from one start. The seed decides the link,
//! the cameras and the server's numbers; only keys are random. A failing test prints its seed, and
//! `SEED=n cargo test --test simulation name` repeats it.

mod asked;
mod budget;
mod congestion;
mod connecting;
mod ending;
mod feedback;
mod indices;
mod layers;
#[cfg(debug_assertions)]
mod lives;
mod loss;
mod matrix;
mod moving;
mod narrow;
mod overload;
mod redundancy;
mod refused;
mod semantic;
mod strangers;
mod tracks;
