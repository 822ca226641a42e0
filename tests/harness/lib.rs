//! What the tests and the benches share.
//!
//! Two halves. **The program as processes**, seen as a viewer, an operator or a camera sees it: [`binary`] starts it,
//! [`server`] and [`load`] are what runs, [`player`] and [`viewers`] watch, [`cameras`] and [`gstreamer`] are watched,
//! [`authority`] vouches for servers with TLS, [`page`] is a real browser and [`namespace`] its network, [`prometheus`] reads
//! metrics. None of them may show the password of the [`canary`]. **The core in virtual time**, without a kernel: [`world`]
//! proves what a shard does on bad lines, [`eye`] says what a player shows of it, [`rig`] measures what it
//! costs, [`oracle`] says what sealed bytes must be.
//! Both have one [`client`], and cameras of one [`sample`].
//!
//! A package that depends on the program is not told where its binary is: every test target that runs it says so once,
//! in a [`Binary`].
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests run against real time and real sockets, and show the server's log when they fail"
)]

pub mod authority;
pub mod binary;
pub mod books;
pub mod camera;
pub mod cameras;
pub mod canary;
pub mod client;
pub mod eye;
pub mod gstreamer;
pub mod http;
pub mod link;
pub mod load;
pub mod namespace;
pub mod oracle;
pub mod page;
pub mod player;
pub mod ports;
pub mod prometheus;
pub mod rig;
pub mod sample;
pub mod sdp;
pub mod server;
pub mod terms;
pub mod viewers;
pub mod wait;
pub mod world;

pub use binary::Binary;
pub use http::{Request, Response};
pub use prometheus::Prometheus;
pub use server::Sluice;
pub use wait::{PATIENCE, wait_for};
