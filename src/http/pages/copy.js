// Buttons that copy. Browsers give the clipboard only to https and localhost; elsewhere the text is selected
// and copied the old way.

const SHOWN_MS = 1_500;

// Copies, and says so on the button.
export async function copyText(text, button) {
  const words = (button.dataset.words ??= button.textContent);
  button.textContent = (await copied(text)) ? "Copied" : "Not allowed";
  clearTimeout(button.timer);
  button.timer = setTimeout(() => (button.textContent = words), SHOWN_MS);
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedBySelection(text);
  }
}

function copiedBySelection(text) {
  const field = document.createElement("textarea");
  const focused = document.activeElement;
  field.value = text;
  field.className = "offscreen";
  // Within a modal dialog, because nothing outside of it takes the focus.
  (focused?.closest("dialog") ?? document.body).append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return done;
}
