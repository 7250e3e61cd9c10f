//! The files of the pages, in the program itself. Their addresses hold a digest of their content, so that browsers keep
//! them and a new program brings new ones.

use std::{fmt::Write as _, sync::LazyLock};

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};

/// The styles: the tokens first.
pub(crate) const STYLE: &str = "app.css";
/// The keyboard, relative times.
pub(crate) const SCRIPT: &str = "app.js";
/// The command palette.
pub(crate) const PALETTE: &str = "palette.js";
/// The state of the live stream, and what it changes.
pub(crate) const LIVE_SCRIPT: &str = "live.js";
/// Vendored: htmx 4.0.1, and its extension for server-sent events. 0BSD, see `assets/htmx.LICENSE`.
pub(crate) const HTMX: &str = "htmx.min.js";
pub(crate) const HTMX_SSE: &str = "hx-sse.min.js";

/// The icon of the pages' tabs.
pub(crate) const ICON: &str = "icon.svg";

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, content type, content.
const FILES: [(&str, &str, &[u8]); 7] = [
    (STYLE, "text/css; charset=utf-8", include_bytes!("../assets/app.css")),
    (SCRIPT, JAVASCRIPT, include_bytes!("../assets/app.js")),
    (PALETTE, JAVASCRIPT, include_bytes!("../assets/palette.js")),
    (LIVE_SCRIPT, JAVASCRIPT, include_bytes!("../assets/live.js")),
    (ICON, "image/svg+xml", include_bytes!("../assets/icon.svg")),
    (HTMX, JAVASCRIPT, include_bytes!("../assets/htmx.min.js")),
    (HTMX_SSE, JAVASCRIPT, include_bytes!("../assets/hx-sse.min.js")),
];

/// The bytes of a digest in an address: enough that two contents never share one.
const DIGEST_BYTES: usize = 8;

static DIGEST: LazyLock<String> = LazyLock::new(|| {
    let all = FILES.iter().fold(Sha256::new(), |digest, (_, _, content)| digest.chain_update(content));
    all.finalize().iter().take(DIGEST_BYTES).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
});

/// The address of a file.
pub(crate) fn address(name: &str) -> String {
    format!("/ops/assets/{}/{name}", *DIGEST)
}

/// Serves a file; an address with another digest is one of another program.
pub(crate) async fn serve(Path((digest, name)): Path<(String, String)>) -> Response {
    let found = FILES.iter().find(|(known, _, _)| *known == name).filter(|_| digest == *DIGEST);
    let Some((_, kind, content)) = found else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, *content).into_response()
}
