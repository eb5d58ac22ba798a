//! Many at once, or one who asks for too much: the others are served, and the cost stays bounded.

mod hosts;
mod hot_spots;
mod many_rooms;
mod reads;
