//! Tables in rows, which the configuration has none of: read by a schema of the test.

use super::*;
use crate::{
    Reload,
    resolve::{Key, Repeated},
    value::Kind,
};

/// `[[admin.users]]` with a name, put into a list that is there.
static USERS: Repeated<Draft, String, usize> = Repeated {
    path: "admin.users",
    rows: true,
    one: "a user",
    name: |number| number.parse().map_err(|_| format!("`{number}` is no number of a user")),
    enter: |draft, number| {
        let users = &mut draft.config.admin.hosts;
        users.resize(users.len().max(number + 1), String::new());
        &mut users[*number]
    },
    schema: Schema {
        keys: &[&[Key {
            path: "name",
            default: None,
            reload: Reload::Live,
            kind: Kind::Choice(&["ann", "bob"], |user, index| *user = ["ann", "bob"][index].to_owned()),
        }]],
        repeated: &[],
    },
};
static WITH_USERS: Schema<Draft> = Schema { keys: SCHEMA.keys, repeated: &[&USERS] };

fn read(text: &str, sets: &[&str], env: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let mut loader = Loader::new(&WITH_USERS);
    loader.file(File::Text { name: "a.toml".to_owned(), text: text.to_owned() });
    env.iter().for_each(|(name, value)| loader.variable(name, value));
    sets.iter().for_each(|set| loader.set(set));
    let config = loader.finish().map_err(|error| error.to_string())?.config;
    Ok(config.admin.hosts)
}

#[test]
fn tables_in_a_row_are_read_in_order_and_reached_by_their_numbers() {
    let two = "[[admin.users]]\nname = \"ann\"\n[[admin.users]]\nname = \"ann\"\n";
    assert_eq!(read(two, &[], &[]), Ok(vec!["ann".to_owned(), "ann".to_owned()]));
    let changed = read(two, &["admin.users.1.name=bob"], &[("SLUICE_ADMIN_USERS_0_NAME", "bob")]);
    assert_eq!(changed, Ok(vec!["bob".to_owned(), "bob".to_owned()]));
}

#[test]
fn what_is_wrong_in_a_row_is_said_with_its_number_and_its_place() {
    for (text, lines) in [
        (
            "[[admin.users]]\nname = \"bib\"\n",
            &["`admin.users.0.name`: `bib` is not known", "[a.toml:2:8]", "did you mean `\"bob\"`?"][..],
        ),
        (
            "[[admin.users]]\n[[admin.users]]\nnme = \"bob\"\n",
            &["unknown key `admin.users.1.nme`", "did you mean `admin.users.1.name`?", "a user has name"],
        ),
        (
            "[admin.users]\nname = \"bob\"\n",
            &["`admin.users` is a table of keys, not a value", "write [[admin.users]]"],
        ),
        ("admin.users = [7]\n", &["`admin.users.0` is a table of keys, not a value", "[a.toml:1:16]"]),
    ] {
        let said = read(text, &[], &[]).expect_err(text);
        for line in lines {
            assert!(said.contains(line), "{said}");
        }
    }
}
