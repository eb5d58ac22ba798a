//! The log's epoch: a name of the log's history. Another epoch tells clients that the log may have gone back in time, so that
//! they read it anew.

use uuid::Uuid;

pub fn new_epoch() -> String {
    Uuid::new_v4().simple().to_string()
}
