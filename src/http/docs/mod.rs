//! The API's document, made from the route table and the protocol's types, and what the pages load that show it.

pub mod assets;
pub mod openapi;
