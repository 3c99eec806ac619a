//! The page at `/docs`: Swagger UI, shown out of the archive in which its publisher packs it. It shows our own document and
//! asks no other host for anything.

use std::borrow::Cow;
use std::io::{Cursor, Read};
use std::sync::LazyLock;

use axum::Router;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// Every file of the page with its media type.
const FILES: [(&str, &str); 7] = [
    ("index.html", "text/html; charset=utf-8"),
    ("index.css", "text/css; charset=utf-8"),
    ("swagger-ui.css", "text/css; charset=utf-8"),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("swagger-ui-standalone-preset.js", "text/javascript; charset=utf-8"),
    ("favicon-16x16.png", "image/png"),
    ("favicon-32x32.png", "image/png"),
];

/// Swagger UI's own file of this name shows an example of another host.
const INITIALIZER: &str = r##"window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    layout: "StandaloneLayout",
  });
};
"##;

/// The files, unpacked when somebody first looks at the page.
static PAGE: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED)).expect("a test reads every file");
    FILES.iter().map(|(name, _)| unpacked(&mut archive, name)).collect()
});

pub(super) fn router() -> Router {
    let router = Router::new()
        .route("/docs", get(async || Redirect::to("/docs/")))
        .route("/docs/", get(async || file(0)))
        .route("/docs/swagger-initializer.js", get(async || script(INITIALIZER)));
    (0..FILES.len()).fold(router, |router, index| {
        router.route(&format!("/docs/{}", FILES[index].0), get(async move || file(index)))
    })
}

fn file(index: usize) -> Response {
    ([(CONTENT_TYPE, FILES[index].1)], PAGE[index].clone()).into_response()
}

fn script(text: &'static str) -> Response {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], text).into_response()
}

/// One file of the folder `dist`; the folder above it is named after the version.
fn unpacked(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Bytes {
    let at = format!("/dist/{name}");
    let is_it = |path: &str| path.strip_suffix(&at).is_some_and(|folder| !folder.contains('/'));
    let path = archive.file_names().flatten().find(|path| is_it(path)).map(Cow::into_owned);
    let mut content = Vec::new();
    let mut packed = archive.by_name(&path.unwrap_or_default()).expect("a test reads every file");
    packed.read_to_end(&mut content).expect("a test reads every file");
    content.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_in_the_archive() {
        assert!(PAGE.iter().all(|file| !file.is_empty()));
        let html = String::from_utf8_lossy(&PAGE[0]);
        let used = FILES[1..].iter().filter(|(name, _)| html.contains(name)).count();
        assert_eq!(used, FILES.len() - 1, "{html}");
    }
}
