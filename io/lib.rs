//! How bytes reach the kernel.
