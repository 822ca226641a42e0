//! A value of the configuration that is replaced while others read it.

use std::sync::RwLock;

use crate::contain::{read, write};

/// One value, the same for all who hold it.
#[derive(Debug, Default)]
pub struct Current<T>(RwLock<T>);

impl<T: Clone> Current<T> {
    /// It is `value` at first.
    pub const fn new(value: T) -> Current<T> {
        Current(RwLock::new(value))
    }

    /// What it is now. Cheap where `T` is cheap to clone, as it should be.
    pub fn get(&self) -> T {
        read(&self.0).clone()
    }

    /// It is `value` from now on.
    pub fn set(&self, value: T) {
        *write(&self.0) = value;
    }
}
