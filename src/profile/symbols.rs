//! The symbols of this program.
//!
//! Owns the look into its symbol table (ELF). The debug lines name a function as its source does (`poll`,
//! `{closure#0}`) where it was not inlined; the symbol says whose it is.

use std::fs::File;

use object::elf::{FileHeader64, SHT_SYMTAB, STT_FUNC};
use object::read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _, Sym as _};
use object::{Endianness, ReadCache};

/// Functions of a file, by address.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    functions: Vec<Function>,
    /// Mangled names, each with a zero behind it.
    strings: Vec<u8>,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Function {
    address: u64,
    size: u64,
    /// Where its name begins.
    name: usize,
}

/// A part of the file, and the address that it is loaded to.
#[derive(Debug, Clone, Copy)]
struct Segment {
    offset: u64,
    size: u64,
    address: u64,
}

impl Symbols {
    /// Reads them; none if it has none, or may not be read. The file is the one that runs, also where another version has
    /// taken its place on the disk: the debug lines are lost then, and these are not.
    pub(super) fn of_this_program() -> Symbols {
        File::open("/proc/self/exe").ok().and_then(|file| Symbols::read(file).ok()).unwrap_or_default()
    }

    fn read(file: File) -> object::Result<Symbols> {
        let file = ReadCache::new(file);
        let header = FileHeader64::<Endianness>::parse(&file)?;
        let endian = header.endian()?;
        let sections = header.sections(endian, &file)?;
        let table = sections.symbols(endian, &file, SHT_SYMTAB)?;
        let strings = sections.section(table.string_section())?.data(endian, &file)?.to_vec();
        let mut functions: Vec<Function> = table
            .iter()
            .filter(|symbol| symbol.st_type() == STT_FUNC)
            .map(|symbol| Function {
                address: symbol.st_value(endian),
                size: symbol.st_size(endian),
                name: symbol.st_name(endian) as usize,
            })
            .collect();
        functions.sort_unstable();
        let segments = header.program_headers(endian, &file)?.iter().map(|segment| Segment {
            offset: segment.p_offset(endian),
            size: segment.p_filesz(endian),
            address: segment.p_vaddr(endian),
        });
        Ok(Symbols { functions, strings, segments: segments.collect() })
    }

    /// The function that the byte at `offset` in the file is of, as people write it.
    pub(super) fn name(&self, offset: u64) -> Option<String> {
        let segment =
            self.segments.iter().find(|part| (part.offset..part.offset + part.size).contains(&offset))?;
        let address = segment.address + (offset - segment.offset);
        let behind = self.functions.partition_point(|function| function.address <= address);
        let function = self.functions[behind.checked_sub(1)?];
        if address - function.address >= function.size {
            return None;
        }
        let name = self.strings.get(function.name..)?.split(|byte| *byte == 0).next()?;
        Some(format!("{:#}", rustc_demangle::demangle(std::str::from_utf8(name).ok()?)))
    }
}
