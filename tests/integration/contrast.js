// Returns the contrast (WCAG 2.2) of every visible text with its background, and of every mark of a chart.
(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const colour = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (front, back) => front.slice(0, 3).map((value, at) => value * front[3] + back[at] * (1 - front[3]));
  const light = (rgb) => {
    const [red, green, blue] = rgb.map((value) => value / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ratio = (one, other) => {
    const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(colour(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((back, layer) => over(layer, back), [255, 255, 255]);
  };
  const opacity = (element) => {
    let product = 1;
    for (let at = element; at; at = at.parentElement) product *= Number(getComputedStyle(at).opacity);
    return product;
  };
  const painted = (element, text) => {
    const [red, green, blue, alpha] = colour(text);
    const back = behind(element.closest("svg") ? element.closest("svg").parentElement : element);
    return ratio(over([red, green, blue, alpha * opacity(element)], back), back);
  };
  const text = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("script, style, noscript, title, option") || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    text.push({
      says: walker.currentNode.data.slice(0, 40), wanted: large ? 3 : 4.5,
      ratio: painted(element, element instanceof SVGElement ? style.fill : style.color),
    });
  }
  const marks = [...document.querySelectorAll("svg .mark, svg .edge, svg .tick, svg .zero, .parts i:not(.part-free)")].map((element) => {
    const style = getComputedStyle(element);
    const drawn = element.matches("i") ? style.backgroundColor : element.matches(".mark") ? style.fill : style.stroke;
    return { says: element.getAttribute("class"), ratio: painted(element.matches("i") ? element.parentElement : element, drawn) };
  });
  return { text, marks };
})()
