/** Listens where the page's sound leaves its audio graph: loudness and pitch, 21 ms a note. */
(() => {
  const SIZE = 512;
  const connect = AudioNode.prototype.connect;
  window.heard = [];
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) {
      const tap = target.context.createScriptProcessor(SIZE, 1, 1);
      tap.onaudioprocess = ({ inputBuffer }) => note(inputBuffer);
      connect.call(this, tap);
      connect.call(tap, target);
      target.context.tap = tap; // or it is collected as garbage
    }
    return connect.call(this, target, ...rest);
  };
  function note(buffer) {
    const samples = buffer.getChannelData(0);
    let power = 0;
    let crossings = 0;
    for (let index = 0; index < samples.length; index += 1) {
      power += samples[index] ** 2;
      if (index > 0 && samples[index - 1] < 0 && samples[index] >= 0) crossings += 1;
    }
    window.heard.push({
      at: performance.now() / 1000,
      loud: Math.sqrt(power / samples.length),
      hz: (crossings * buffer.sampleRate) / samples.length,
    });
  }
})();
