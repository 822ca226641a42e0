//! From a path or the name of a variable to the key that it means. Owns the shapes that a schema can have: tables in
//! tables, tables that repeat under names (`[streams.NAME]`) and in rows (`[[auth.users]]`). It knows no key by name.

use crate::{
    suggest::nearest,
    value::{Fault, Given, Kind, Shape},
};

/// What stands in the path of a key for the name of a table, and for the number of a row.
pub(crate) const NAME: &str = "NAME";
pub(crate) const ROW: &str = "N";

/// The prefix of the variables that belong to us. There is none with it that is not a key.
pub(crate) const PREFIX: &str = "SLUICE_";

/// What a change of a key needs before it has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Nothing: it is for those who are already there, too.
    Live,
    /// A new session: it is for viewers that join, connections that are made and cameras that are connected after it.
    NewSessions,
    /// A new process: threads, sockets and queues are made of it.
    Restart,
}

impl Reload {
    /// As the reference file says it: `live`, `new sessions`, `restart`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::NewSessions => "new sessions",
            Self::Restart => "restart",
        }
    }
}

/// One key of `T`.
pub(crate) struct Key<T: 'static> {
    /// `udp.port`; of a table that repeats, what follows its name: `source`.
    pub(crate) path: &'static str,
    /// As TOML; `None` if there is none.
    pub(crate) default: Option<&'static str>,
    pub(crate) reload: Reload,
    pub(crate) kind: Kind<T>,
}

/// What a `T` is written as. A path with dots goes through tables that need no mention of their own.
pub(crate) struct Schema<T: 'static> {
    /// By table.
    pub(crate) keys: &'static [&'static [Key<T>]],
    pub(crate) repeated: &'static [&'static dyn Repeat<T>],
}

/// Tables of one kind in a `T`; see [`Repeated`], which it is for any contents.
pub(crate) trait Repeat<T>: Sync {
    fn path(&self) -> &'static str;
    /// Written `[[path]]`; a name is then a number from 0.
    fn is_rows(&self) -> bool;
    /// Follows a path that begins with a name.
    fn resolve(&self, name: &str, rest: &[&str]) -> Result<Node<T>, NoNode>;
    /// Its keys, without the path to it and the name.
    fn keys(&self) -> Vec<KeyInfo>;
}

/// Tables that repeat: each a `U`, found in a `T` by an `N`.
pub(crate) struct Repeated<T: 'static, U: 'static, N: 'static> {
    pub(crate) path: &'static str,
    pub(crate) rows: bool,
    /// One of them, in words: `a stream`.
    pub(crate) one: &'static str,
    pub(crate) name: fn(&str) -> Result<N, String>,
    /// Finds it, or makes it.
    pub(crate) enter: for<'a> fn(&'a mut T, &N) -> &'a mut U,
    pub(crate) schema: Schema<U>,
}

/// What documentation says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// `udp.port`, `streams.NAME.source`; `N` stands for the number of a row.
    pub path: String,
    /// `SLUICE_UDP_PORT`, `SLUICE_STREAMS_NAME_SOURCE`.
    pub variable: String,
    /// As written in the file; `None` where there is none.
    pub default: Option<&'static str>,
    /// What a change of it needs.
    pub reload: Reload,
    /// In words.
    pub allowed: String,
    /// What a value looks like.
    pub shape: Shape,
}

/// What a path leads to.
pub(crate) enum Node<T> {
    /// Keys, or tables of keys.
    Table,
    /// Tables in a row.
    Rows,
    Key(Found<T>),
}

/// Checks a value and puts it in its place, or leaves what is there.
type Set<T> = Box<dyn Fn(&mut T, &Given<'_>) -> Result<(), Vec<Fault>>>;

/// A key that a path leads to.
pub(crate) struct Found<T> {
    /// In words.
    pub(crate) allowed: String,
    /// Whether it takes several values.
    pub(crate) is_list: bool,
    pub(crate) set: Set<T>,
}

/// Why a path leads nowhere.
pub(crate) enum NoNode {
    Unknown {
        /// The whole path that was probably meant.
        meant: Option<String>,
        /// What stands in the table the path goes through.
        known: String,
    },
    /// A name that no table can have, in words.
    Name(String),
}

/// The environment variable of a key.
fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "_").to_ascii_uppercase())
}

impl<T> Schema<T> {
    /// The keys that are in no table that repeats, in order.
    pub(crate) fn own(&self) -> impl Iterator<Item = &'static Key<T>> + use<T> {
        self.keys.iter().copied().flatten()
    }

    /// Follows a path from here.
    pub(crate) fn resolve(&self, path: &[&str]) -> Result<Node<T>, NoNode> {
        let joined = path.join(".");
        if let Some(key) = self.own().find(|key| key.path == joined) {
            let set: Set<T> = Box::new(move |target, given| key.kind.apply(target, given));
            let is_list = matches!(key.kind, Kind::List(..) | Kind::Texts(..));
            return Ok(Node::Key(Found { allowed: key.kind.allowed(), is_list, set }));
        }
        for repeated in self.repeated {
            let depth = repeated.path().split('.').count();
            match path.get(..depth).map(|head| head.join(".")) {
                Some(head) if head == repeated.path() => match path[depth..] {
                    [] if repeated.is_rows() => return Ok(Node::Rows),
                    [] => return Ok(Node::Table),
                    [name, ref rest @ ..] => return repeated.resolve(name, rest),
                },
                _ => {}
            }
        }
        if self.is_table(&joined) { Ok(Node::Table) } else { Err(self.unknown(path)) }
    }

    /// Every key, in order.
    pub(crate) fn keys(&self) -> Vec<KeyInfo> {
        let own = self.own().map(|key| KeyInfo {
            path: key.path.to_owned(),
            variable: variable(key.path),
            default: key.default,
            reload: key.reload,
            allowed: key.kind.allowed(),
            shape: key.kind.shape(),
        });
        let nested = self.repeated.iter().flat_map(|repeated| {
            let mark = if repeated.is_rows() { ROW } else { NAME };
            repeated.keys().into_iter().map(move |key| {
                let path = format!("{}.{mark}.{}", repeated.path(), key.path);
                KeyInfo { variable: variable(&path), path, ..key }
            })
        });
        own.chain(nested).collect()
    }

    /// Paths that may be written here: of keys, and of tables that repeat.
    fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.own().map(|key| key.path).chain(self.repeated.iter().map(|repeated| repeated.path()))
    }

    fn is_table(&self, path: &str) -> bool {
        path.is_empty() || !self.inside(path).is_empty()
    }

    /// What may stand in a table, in order.
    fn inside(&self, table: &str) -> Vec<&'static str> {
        let mut names = Vec::new();
        for path in self.paths() {
            let rest = if table.is_empty() { Some(path) } else { path.strip_prefix(table) };
            let rest = if table.is_empty() { rest } else { rest.and_then(|rest| rest.strip_prefix('.')) };
            if let Some(name) = rest.and_then(|rest| rest.split('.').next())
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        names
    }

    /// Near in its own table, near as a whole, or right in another table: in this order.
    fn unknown(&self, path: &[&str]) -> NoNode {
        // The innermost table that the path does go through.
        let depth = (0..path.len()).rev().find(|depth| self.is_table(&path[..*depth].join("."))).unwrap_or(0);
        let table = path[..depth].join(".");
        let inside = self.inside(&table);
        let names = inside.join(", ");
        let (near, known) = match (depth, path) {
            (0, [name]) => (nearest(name, inside).map(str::to_owned), format!("there are {names}")),
            (0, _) => (None, format!("there are {names}")),
            _ => {
                let near = nearest(path[depth], inside).map(|name| format!("{table}.{name}"));
                (near, format!("`{table}` has {names}"))
            }
        };
        let last = path.last().copied().unwrap_or_default();
        let keys = || self.own().map(|key| key.path);
        let elsewhere = || keys().find(|path| path.rsplit('.').next() == Some(last));
        let meant = near.or_else(|| nearest(&path.join("."), keys()).or_else(elsewhere).map(str::to_owned));
        NoNode::Unknown { meant, known }
    }
}

impl<T, U, N> Repeat<T> for Repeated<T, U, N> {
    fn path(&self) -> &'static str {
        self.path
    }

    fn is_rows(&self) -> bool {
        self.rows
    }

    fn resolve(&self, name: &str, rest: &[&str]) -> Result<Node<T>, NoNode> {
        let id = (self.name)(name).map_err(NoNode::Name)?;
        match self.schema.resolve(rest) {
            Ok(Node::Table) => Ok(Node::Table),
            Ok(Node::Rows) => Ok(Node::Rows),
            Ok(Node::Key(Found { allowed, is_list, set })) => {
                let enter = self.enter;
                let set: Set<T> = Box::new(move |target, given| set(enter(target, &id), given));
                Ok(Node::Key(Found { allowed, is_list, set }))
            }
            Err(NoNode::Unknown { meant, known }) => Err(NoNode::Unknown {
                meant: meant.map(|meant| format!("{}.{name}.{meant}", self.path)),
                known: known.replacen("there are", &format!("{} has", self.one), 1),
            }),
            Err(wrong_name) => Err(wrong_name),
        }
    }

    fn keys(&self) -> Vec<KeyInfo> {
        self.schema.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variable::path_of;

    /// A house with rooms, and lamps in a row in each of them.
    #[derive(Default, Debug, PartialEq)]
    struct House {
        alarm: bool,
        rooms: Vec<(String, Vec<bool>)>,
    }

    const fn switch<T>(path: &'static str, set: fn(&mut T, bool)) -> Key<T> {
        Key { path, default: None, reload: Reload::Live, kind: Kind::Bool(set) }
    }

    static LAMPS: Repeated<(String, Vec<bool>), bool, usize> = Repeated {
        path: "lamps",
        rows: true,
        one: "a lamp",
        name: |number| number.parse().map_err(|_| format!("`{number}` is no number of a lamp")),
        enter: |(_, lamps), number| {
            lamps.resize(lamps.len().max(number + 1), false);
            &mut lamps[*number]
        },
        schema: Schema { keys: &[&[switch("on", |lamp, on| *lamp = on)]], repeated: &[] },
    };
    static ROOMS: Repeated<House, (String, Vec<bool>), String> = Repeated {
        path: "plan.rooms",
        rows: false,
        one: "a room",
        name: |name| {
            if name.is_empty() { Err("a room without a name".to_owned()) } else { Ok(name.to_owned()) }
        },
        enter: |house, name| {
            let found = house.rooms.iter().position(|(room, _)| room == name);
            let at = found.unwrap_or(house.rooms.len());
            if found.is_none() {
                house.rooms.push((name.clone(), Vec::new()));
            }
            &mut house.rooms[at]
        },
        schema: Schema { keys: &[], repeated: &[&LAMPS] },
    };
    static HOUSE: Schema<House> =
        Schema { keys: &[&[switch("doors.front.alarm", |house, on| house.alarm = on)]], repeated: &[&ROOMS] };

    fn follow(path: &str) -> Result<Node<House>, NoNode> {
        HOUSE.resolve(&path.split('.').collect::<Vec<_>>())
    }

    #[test]
    fn a_path_leads_through_tables_names_and_rows_to_its_own_place() {
        let mut house = House::default();
        for path in ["plan.rooms.hall.lamps.1.on", "plan.rooms.attic.lamps.0.on", "doors.front.alarm"] {
            let Ok(Node::Key(found)) = follow(path) else { panic!("{path} is a key") };
            (found.set)(&mut house, &Given::Text { text: "true", at: 0 }).expect("a boolean");
        }
        let rooms = vec![("hall".to_owned(), vec![false, true]), ("attic".to_owned(), vec![true])];
        assert_eq!(house, House { alarm: true, rooms });
        for table in
            ["doors", "doors.front", "plan", "plan.rooms", "plan.rooms.hall", "plan.rooms.hall.lamps.7"]
        {
            assert!(matches!(follow(table), Ok(Node::Table)), "{table}");
        }
        assert!(matches!(follow("plan.rooms.hall.lamps"), Ok(Node::Rows)));
    }

    #[test]
    fn a_path_that_leads_nowhere_is_told_what_stands_where_it_left() {
        for (path, meant, known) in [
            ("door.front.alarm", Some("doors.front.alarm"), "there are doors, plan"),
            ("doors.frnt", Some("doors.front"), "`doors` has front"),
            ("plan.romms.hall", Some("plan.rooms"), "`plan` has rooms"),
            ("plan.rooms.hall.lamp", Some("plan.rooms.hall.lamps"), "a room has lamps"),
            ("plan.rooms.hall.lamps.0.no", Some("plan.rooms.hall.lamps.0.on"), "a lamp has on"),
        ] {
            match follow(path) {
                Err(NoNode::Unknown { meant: found, known: said }) => {
                    assert_eq!((found.as_deref(), said.as_str()), (meant, known), "{path}");
                }
                _ => panic!("{path} is no key"),
            }
        }
        assert!(
            matches!(follow("plan.rooms.hall.lamps.x.on"), Err(NoNode::Name(why)) if why.contains("`x`"))
        );
    }

    #[test]
    fn a_variable_is_taken_apart_as_the_schema_has_it() {
        let keys = HOUSE.keys();
        let listed: Vec<_> = keys.iter().map(|key| (key.path.as_str(), key.variable.as_str())).collect();
        let lamp = ("plan.rooms.NAME.lamps.N.on", "SLUICE_PLAN_ROOMS_NAME_LAMPS_N_ON");
        assert_eq!(listed, [("doors.front.alarm", "SLUICE_DOORS_FRONT_ALARM"), lamp]);
        for (variable, path) in [
            ("SLUICE_DOORS_FRONT_ALARM", "doors.front.alarm"),
            ("SLUICE_PLAN_ROOMS_A_B_LAMPS_12_ON", "plan.rooms.a_b.lamps.12.on"),
            ("SLUICE_PLAN_ROOMS_LAMPS_1_ON_LAMPS_0_ON", "plan.rooms.lamps_1_on.lamps.0.on"),
        ] {
            let found = path_of(variable, &keys).unwrap_or_default();
            assert_eq!(found.join("."), path, "{variable}");
        }
        for wrong in ["SLUICE_DOORS_FRONT", "SLUICE_DOORS_FRONT_ALARM_", "SLUICE_PLAN_ROOMS_A_LAMPS_X_ON"] {
            assert!(path_of(wrong, &keys).is_err(), "{wrong}");
        }
    }
}
