//! The transports and the session that they share.
