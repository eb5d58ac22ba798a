//! The files of the documentation pages. They are embedded in the binary; the large ones are kept gzipped.

pub const DOCS_HTML: &str = include_str!("assets/docs.html");
pub const REDOC_HTML: &str = include_str!("assets/redoc.html");

const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

/// A file that a page loads.
pub struct Asset {
    pub content_type: &'static str,
    pub gzipped: bool,
    pub bytes: &'static [u8],
}

pub fn find(path: &str) -> Option<Asset> {
    let (content_type, gzipped, bytes): (_, _, &'static [u8]) = match path {
        "/api/docs/docs.js" => (JS, false, include_bytes!("assets/docs.js")),
        "/api/docs/docs.css" => (CSS, false, include_bytes!("assets/docs.css")),
        "/api/docs/swagger-ui-bundle.js" => {
            (JS, true, include_bytes!("assets/swagger-ui-bundle.js.gz"))
        }
        "/api/docs/swagger-ui.css" => (CSS, true, include_bytes!("assets/swagger-ui.css.gz")),
        "/api/redoc/redoc.standalone.js" => {
            (JS, true, include_bytes!("assets/redoc.standalone.js.gz"))
        }
        _ => return None,
    };
    Some(Asset {
        content_type,
        gzipped,
        bytes,
    })
}
