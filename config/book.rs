//! docs/CONFIGURATION.md, out of the schema and of what config/sluice.toml says: written by `sluice`'s own tests, so that
//! it cannot say what the program does not do.

use crate::{KeyInfo, reference::reference, schema::keys};

/// The whole document.
pub fn configuration_book() -> String {
    let reference = reference();
    let mut book = "\
# Configuration

Every key, its default, what it takes, and what a change of it needs. This page is written by a test from the program and from
[config/sluice.toml](../config/sluice.toml), which says the same in the order of a file: start from a copy of that.

Of several, the later wins: defaults, the file (`-c FILE`), `SLUICE_*` variables, `--set KEY=VALUE`, `NAME=URL`, and of streams
what the API has set. `sluice check FILE` shows every mistake at once; `sluice config` prints each value that is in effect, and who
gave it; `sluice schema` prints the JSON Schema, for editors.

What a change needs: **live** is for everybody at once; **new sessions** is for those who come after it: viewers, connections,
cameras that are connected anew; **restart** is a new process. A reload (SIGHUP, `POST /api/v1/config/reload`, `config.watch`)
takes over all but the last, and names what it leaves.
"
    .to_owned();
    let mut last = String::new();
    for key in keys() {
        let (table, name) = key.path.rsplit_once('.').unwrap_or(("", &key.path));
        if table != last {
            let said =
                reference.tables.iter().find(|(known, _)| known == table).map_or("", |(_, said)| said.trim());
            book.push_str(&format!("\n## `[{table}]`\n"));
            // What stands above the examples of streams is a page of its own.
            if !said.is_empty() && !table.contains("NAME") {
                book.push_str(&format!("\n{}\n", escaped(said)));
            }
            table.clone_into(&mut last);
        }
        let said = reference.keys.get(&key.path).map(|said| said.trim()).unwrap_or_default();
        book.push_str(&entry(&key, name, said));
    }
    book
}

fn entry(key: &KeyInfo, name: &str, said: &str) -> String {
    let KeyInfo { path, variable, default, reload, allowed, .. } = key;
    let default = default.map_or("none".to_owned(), |default| format!("`{default}`"));
    let said = if said.is_empty() { String::new() } else { format!("\n{}\n", escaped(said)) };
    let needs = reload.label();
    format!(
        "\n### `{name}`\n{said}\n`{path}`, variable `{variable}`. Default: {default}. Takes {allowed}. A change needs: **{needs}**.\n",
        allowed = escaped(allowed),
    )
}

/// Text that Markdown shows as it is.
fn escaped(text: &str) -> String {
    text.replace('<', "&lt;").replace('*', "\\*").replace('_', "\\_")
}
