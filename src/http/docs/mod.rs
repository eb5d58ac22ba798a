//! The OpenAPI document, made from the route table and the protocol's types, and the files of the pages that show it.

pub mod assets;
pub mod openapi;
