/**
 * Listens at both ends of the page's audio graph: how loud and how high, 10 ms a note. `heard` is
 * what leaves it, `spoken` what comes in from the microphone.
 */
(() => {
  const { connect } = AudioNode.prototype;
  window.heard = [];
  window.spoken = [];
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) tap(this, window.heard);
    if (this instanceof MediaStreamAudioSourceNode && target instanceof AudioWorkletNode) tap(this, window.spoken);
    return connect.call(this, target, ...rest);
  };

  function tap(node, notes) {
    const end = new MediaStreamAudioDestinationNode(node.context, { channelCount: 1 });
    connect.call(node, end);
    listen(end.stream.getAudioTracks()[0], notes);
  }

  /** The processor keeps what is not read at once, so a page that is slow loses nothing. */
  async function listen(track, notes) {
    const { readable } = new MediaStreamTrackProcessor({ track, maxBufferSize: 3000 });
    let began = Infinity; // on the clock of the page; the note that came with the least delay knows
    for await (const sound of readable) {
      began = Math.min(began, performance.now() / 1000 - sound.timestamp / 1e6);
      notes.push(note(sound, began));
      sound.close();
    }
  }

  function note(sound, began) {
    const samples = new Float32Array(sound.numberOfFrames);
    sound.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
    let power = 0;
    let crossings = 0;
    let first = 0;
    let last = 0;
    for (let index = 0; index < samples.length; index += 1) {
      power += samples[index] ** 2;
      if (index === 0 || samples[index - 1] >= 0 || samples[index] < 0) continue;
      if (crossings === 0) first = index;
      last = index;
      crossings += 1;
    }
    return {
      at: began + sound.timestamp / 1e6,
      seconds: samples.length / sound.sampleRate,
      loud: Math.sqrt(power / samples.length),
      hz: crossings > 1 ? ((crossings - 1) * sound.sampleRate) / (last - first) : 0,
    };
  }
})();
