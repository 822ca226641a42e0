// The order and the groups in which people look for names: cam2 before cam10, gate-1 beside gate-2.

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

// Compares two names; those that differ only in case or accents keep one order too.
export function compareNames(a, b) {
  return collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}

// What names of one place have in common: all before the first separator, or before the number at the end.
// "gate-1" and "gate_2" are of "gate", "cam12" of "cam"; "yard" is of "yard".
export function prefixOf(name) {
  const [, word, rest] = /^(.[^-_. /]*)(.*)$/su.exec(name) ?? [null, name, ""];
  return rest ? word : word.replace(/(?<=\D)\d+$/u, "");
}

// [{name, items}] in natural order, by the prefix of `nameOf(item)`. What is alone comes last, without a name;
// so does everything when all would be one group.
export function groupByPrefix(items, nameOf) {
  const groups = new Map();
  for (const item of items) {
    const key = prefixOf(nameOf(item)).toLowerCase();
    if (!groups.has(key)) groups.set(key, { name: prefixOf(nameOf(item)), items: [] });
    groups.get(key).items.push(item);
  }
  const named = [...groups.values()].filter((group) => group.items.length > 1);
  const alone = [...groups.values()].filter((group) => group.items.length === 1);
  named.sort((a, b) => compareNames(a.name, b.name));
  if (alone.length > 0) named.push({ name: null, items: alone.flatMap((group) => group.items) });
  return named.length === 1 ? [{ name: null, items: named[0].items }] : named;
}
