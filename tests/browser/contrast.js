// Returns texts with a contrast below 7:1 and controls whose edge is below 3:1.
const brush = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });

function blend(colours) {
  brush.clearRect(0, 0, 1, 1);
  for (const colour of colours) {
    brush.fillStyle = colour;
    brush.fillRect(0, 0, 1, 1);
  }
  return [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3);
}

function luminance(channels) {
  const [red, green, blue] = channels.map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

// The backgrounds from the root to the element, in paint order.
function backgrounds(element) {
  const all = [];
  for (let at = element; at; at = at.parentElement) all.unshift(getComputedStyle(at).backgroundColor);
  return all;
}

const low = [];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
  const behind = backgrounds(element);
  const ratio = contrast(blend([...behind, getComputedStyle(element).color]), blend(behind));
  if (ratio < 7) low.push(`${ratio.toFixed(2)} text: ${texts.currentNode.data.trim()}`);
}
for (const control of document.querySelectorAll("input:not([type=hidden]), button, a.button")) {
  if (!control.checkVisibility()) continue;
  const style = getComputedStyle(control);
  // A quiet button has only text.
  if (control.matches(".quiet, .show") || style.appearance === "auto") continue;
  const behind = backgrounds(control.parentElement);
  const edge = contrast(blend([...behind, style.borderTopColor]), blend(behind));
  const face = contrast(blend([...behind, style.backgroundColor]), blend(behind));
  if (Math.max(edge, face) < 3) low.push(`${edge.toFixed(2)} edge: ${control.outerHTML.slice(0, 80)}`);
}
return low;
