/** How loud the agent and the caller are, as bars that move to the left: agent up, caller down. */

const BAR = 3;
const GAP = 2;
const EVERY = 50; // milliseconds a bar

/** Draw `levels()` on a canvas until it returns null. */
export function drawLevels(canvas, levels) {
  const bars = [];
  const step = () => {
    const now = levels();
    bars.push(now ?? { agent: 0, caller: 0 });
    const most = Math.floor(canvas.clientWidth / (BAR + GAP));
    bars.splice(0, bars.length - most);
    draw(canvas, bars);
    if (now !== null) setTimeout(() => requestAnimationFrame(step), EVERY);
  };
  step();
}

function draw(canvas, bars) {
  const scale = devicePixelRatio;
  canvas.width = canvas.clientWidth * scale;
  canvas.height = canvas.clientHeight * scale;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const style = getComputedStyle(canvas);
  const middle = canvas.clientHeight / 2;
  bars.forEach(({ agent, caller }, index) => {
    const left = canvas.clientWidth - (bars.length - index) * (BAR + GAP);
    context.fillStyle = style.getPropertyValue("--accent");
    context.fillRect(left, middle, BAR, -height(agent, middle));
    context.fillStyle = style.getPropertyValue("--faint");
    context.fillRect(left, middle, BAR, height(caller, middle));
  });
}

/** Return a bar's height: 50 dB from nothing to full, as ears hear it. */
function height(level, full) {
  const decibels = 20 * Math.log10(Math.max(level, 1e-5));
  return Math.max(1, Math.min(1, (decibels + 56) / 50) * full);
}
