//! HTTP: listeners and their limits, WHEP, stills, pages, and what operators ask for.

pub mod access;
pub mod admin;
pub mod api;
pub mod conditional;
pub mod connection;
pub mod cors;
pub mod counted;
pub mod discreet;
pub mod drain;
mod extract;
mod h2;
pub mod hosts;
pub mod listen;
pub mod mediamtx;
mod operator_page;
pub mod pages;
mod path;
pub mod problem;
pub mod profiles;
mod reader;
pub mod request;
pub mod routes;
mod same_origin;
mod still;
pub mod streams;
pub mod tls;
pub mod whep;
