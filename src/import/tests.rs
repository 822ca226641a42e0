//! Files of MediaMTX as people have them, and what becomes of them.

use super::*;
