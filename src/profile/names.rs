//! What addresses are called: function, file and line, with what was inlined.
//!
//! Owns the look into this program's own tables (debug lines, else symbols) and those of its libraries. Slow the first
//! time in a profile, and megabytes large: made for one profile, and dropped with it.

use std::collections::HashMap;
use std::ffi::c_void;
use std::path::Path;

use super::Frame;
use super::qualified::qualified;
use super::symbols::Symbols;

/// How far behind the beginning of a function without a name of its own an address may be to be of it. The longest of
/// those that libc chooses among has 2 KiB.
const CHOSEN_MAX: usize = 4_096;

/// A function, as a line of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Line {
    /// What it is called.
    pub function: String,
    /// Its source file; empty if that is not known.
    pub file: String,
    /// The line in it, from 1; 0 if that is not known.
    pub line: u32,
}

impl Line {
    fn bare(function: impl Into<String>) -> Line {
        Line { function: function.into(), file: String::new(), line: 0 }
    }
}

/// Executable memory of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The first address.
    pub start: usize,
    /// The first behind it.
    pub end: usize,
    /// Where it begins in its file.
    pub offset: usize,
    /// Its file, or what the kernel calls it: `[vdso]`.
    pub file: String,
}

/// Names of addresses.
pub struct Names {
    mappings: Vec<Mapping>,
    program: String,
    symbols: Symbols,
    chosen: Vec<(usize, &'static str)>,
    known: HashMap<Frame, Vec<Line>>,
}

impl Default for Names {
    fn default() -> Names {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let program = std::env::current_exe().unwrap_or_default();
        Names {
            symbols: Symbols::of_this_program(),
            program: program.display().to_string(),
            mappings: maps.lines().filter_map(mapping).collect(),
            chosen: sluice_io::profile::libc_entries(),
            known: HashMap::new(),
        }
    }
}

impl Names {
    /// The executable memory, by address.
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// The file of this program, as [`Mapping::file`] names it.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Which of [`Names::mappings`] an address is in.
    pub fn mapping(&self, address: usize) -> Option<usize> {
        self.mappings.iter().position(|mapping| (mapping.start..mapping.end).contains(&address))
    }

    /// What a frame is called: one line, or more where functions were inlined, innermost first.
    pub fn of(&mut self, frame: &Frame) -> &[Line] {
        if !self.known.contains_key(frame) {
            let lines = self.look_up(frame);
            self.known.insert(frame.clone(), lines);
        }
        &self.known[frame]
    }

    /// Takes the innermost lines of a frame off, those that are so.
    pub fn without(&mut self, frame: &Frame, so: impl Fn(&Line) -> bool) {
        if let Some(lines) = self.known.get_mut(frame) {
            let off = lines.iter().take_while(|line| so(line)).count();
            lines.drain(..off.min(lines.len().saturating_sub(1)));
        }
    }

    fn look_up(&self, frame: &Frame) -> Vec<Line> {
        match frame {
            Frame::Named(line) => vec![line.clone()],
            Frame::Code(address) => self.code(*address),
            Frame::Kernel(call) => {
                let call = self.code(*call).into_iter().next_back().map(|line| line.function);
                let call = call.unwrap_or_default();
                // libc's own word for it, without the marks of its inner names.
                vec![Line::bare(format!(
                    "[kernel] {}",
                    call.trim_start_matches("__GI_").trim_start_matches('_')
                ))]
            }
        }
    }

    fn code(&self, address: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        // The library takes every address for one that a caller goes on at, and looks before it.
        backtrace::resolve(address.wrapping_add(1) as *mut c_void, |symbol| {
            if let Some(name) = symbol.name() {
                let file = symbol.filename().map(|file| file.display().to_string()).unwrap_or_default();
                lines.push(Line {
                    function: qualified(&format!("{name:#}"), &file),
                    file,
                    line: symbol.lineno().unwrap_or_default(),
                });
            }
        });
        // The last is the function that the code stands in; its symbol has the better name.
        if let Some(line) = lines.last_mut()
            && let Some(name) = self.symbol(address)
        {
            line.function = name;
        }
        if lines.is_empty() {
            let name = self.symbol(address).unwrap_or_else(|| self.unnamed(address));
            lines.push(Line::bare(name));
        }
        lines
    }

    fn symbol(&self, address: usize) -> Option<String> {
        let mapping = &self.mappings[self.mapping(address)?];
        let offset = address - mapping.start + mapping.offset;
        if mapping.file == self.program { self.symbols.name(offset as u64) } else { None }
    }

    /// What is said of code without a name.
    fn unnamed(&self, address: usize) -> String {
        let at = self.chosen.partition_point(|(start, _)| *start <= address);
        if let Some((start, name)) = at.checked_sub(1).map(|at| self.chosen[at])
            && address - start < CHOSEN_MAX
        {
            return name.to_owned();
        }
        let Some(at) = self.mapping(address) else { return "[unknown]".to_owned() };
        let file = Path::new(&self.mappings[at].file).file_name();
        let name = file.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        format!("[{}]", name.trim_matches(['[', ']']))
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        backtrace::clear_symbol_cache();
    }
}

/// Reads a line of `/proc/PID/maps` (proc(5)); nothing unless it is executable.
fn mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let executable = fields.next()?.contains('x');
    let number = |text: &str| usize::from_str_radix(text, 16).ok();
    let offset = number(fields.next()?)?;
    // Device and inode; the name may hold spaces.
    let file = line.splitn(6, ' ').nth(5).unwrap_or_default().trim_start().to_owned();
    executable.then_some(Mapping { start: number(start)?, end: number(end)?, offset, file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_lines_of_maps_are_read() {
        let line = "55d0a000-55d0b000 r-xp 00001000 fe:00 1234                     /opt/my sluice";
        let expected = Mapping {
            start: 0x55d0_a000,
            end: 0x55d0_b000,
            offset: 0x1000,
            file: "/opt/my sluice".to_owned(),
        };
        assert_eq!(mapping(line), Some(expected));
        assert_eq!(mapping("7f00-7f10 r-xp 00000000 00:00 0      [vdso]").unwrap().file, "[vdso]");
        assert_eq!(mapping("7f00-7f10 r-xp 00000000 00:00 0 ").unwrap().file, "");
        assert_eq!(mapping(&line.replace("r-xp", "r--p")), None);
        assert_eq!(mapping(""), None);
    }

    #[test]
    fn functions_of_ours_and_of_libc_have_names() {
        let mut names = Names::default();
        let ours = names.of(&Frame::Code(mapping as *const () as usize)).to_vec();
        let function = &ours.last().unwrap().function;
        assert!(function.ends_with("names::mapping"), "{ours:?}");
        assert!(names.mapping(mapping as *const () as usize).is_some());
        for (address, name) in sluice_io::profile::libc_entries() {
            let found = names.of(&Frame::Code(address + 1))[0].function.clone();
            assert!(found.contains(name) || found.starts_with("__"), "{name} at {address:x} is {found}");
        }
        assert_eq!(names.of(&Frame::Code(1))[0].function, "[unknown]");
    }
}
