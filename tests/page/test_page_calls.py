"""A call of the page: what is heard, what is said, what is shown, at a server that a test plays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from rig import browser, sound
from rig.browser import shown, talk

if TYPE_CHECKING:
    from rig.browser import Open
    from rig.stand_in_studio import StandInStudio

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_segment_is_heard_and_answered_for(open_page: Open, studio: StandInStudio) -> None:
    """A segment sounds for as long as it is, and the page says so."""
    page = await open_page()
    call = await talk(page, studio)
    number = await call.speak(sound.tone(440, 1.5))
    (played,) = await call.received("played")
    assert played == {"type": "played", "segment": number, "seconds": 1.5, "interrupted": False}
    notes = await browser.sounds(page)
    assert await browser.loud(page) == pytest.approx(1.5, abs=0.1)
    assert all(abs(note["hz"] - 440) < 60 for note in notes[2:-2])


async def test_every_sample_is_played(open_page: Open) -> None:
    """What the speaker is given comes out sample by sample, without a gap or a click."""
    page = await open_page()
    script = """async (samples) => {
        const answers = [];
        const out = [];
        let Speaker;
        globalThis.sampleRate = 24000;
        globalThis.registerProcessor = (name, processor) => { Speaker = processor; };
        globalThis.AudioWorkletProcessor = class {
            port = { postMessage: (message) => answers.push(message) };
        };
        await import("/page/speaker-worklet.js");
        const speaker = new Speaker();
        const post = (data) => speaker.port.onmessage({ data });
        const quantum = new Float32Array(128);
        const render = () => {
            quantum.fill(0);
            speaker.process([], [[quantum]]);
            out.push(...quantum);
        };
        for (let at = 0; at < samples.length; at += 1000) {
            post(Int16Array.from(samples.slice(at, at + 1000)).buffer);
            render();
        }
        post({ type: "flush", segment: 1 });
        while (answers.length === 0) render();
        render();
        return [answers, out];
    }"""
    sent = np.frombuffer(sound.tone(440, 0.5), "<i2")
    answers, out = await page.evaluate(script, sent.tolist())
    assert answers == [{"segment": 1, "frames": len(sent), "interrupted": False}]
    heard = np.array(out)
    start = int(np.argmax(heard != 0)) - 1
    risen = 100
    assert np.array_equal(heard[start + risen : start + len(sent)], sent[risen:] / 32768)
    assert np.abs(np.diff(heard)).max() < 0.05


async def test_a_clear_is_silence_at_once(open_page: Open, studio: StandInStudio) -> None:
    """A cut segment stops within a tenth of a second, and the answer says how much was played."""
    page = await open_page()
    call = await talk(page, studio)
    await call.play(sound.tone(440, 10))
    await browser.wait_tone(page, 440)
    before = await browser.now(page)
    number = await call.end_segment("clear")
    (played,) = await call.received("played")
    await browser.wait_silence(page)
    notes = await browser.sounds(page)
    assert notes[-1]["at"] - before < 0.15
    assert played["segment"] == number
    assert played["interrupted"] is True
    assert played["seconds"] == pytest.approx(await browser.loud(page), abs=0.1)


async def test_each_segment_is_answered_once(open_page: Open, studio: StandInStudio) -> None:
    """Whatever crosses on the way, the server hears of each segment exactly once, in order."""
    page = await open_page()
    call = await talk(page, studio)
    first = await call.speak(sound.tone(440, 0.2))
    await call.received("played")
    await call.tell("clear", segment=first)
    second = await call.end_segment("clear")
    await call.tell("flush", segment=second)
    third = await call.end_segment("flush")
    await call.speak(sound.tone(660, 5))
    fourth = await call.speak(sound.tone(880, 5))
    await browser.wait_tone(page, 660)
    await call.tell("clear", segment=fourth)
    fifth = await call.speak(sound.tone(440, 0.1))
    answers = await call.received("played", count=6)
    assert [(one["segment"], one["interrupted"]) for one in answers] == [
        (first, False), (second, True), (third, False),
        (fourth - 1, True), (fourth, True), (fifth, False),
    ]  # fmt: skip
    assert answers[4]["seconds"] == 0


async def test_a_pause_holds_the_sound(open_page: Open, studio: StandInStudio) -> None:
    """What was paused goes on where it stopped, and nothing of it is lost."""
    page = await open_page()
    call = await talk(page, studio)
    await call.speak(sound.tone(440, 1))
    await browser.wait_tone(page, 440)
    await call.tell("pause")
    await browser.wait_silence(page)
    assert [message for message in call.messages if message["type"] == "played"] == []
    await call.tell("resume")
    (played,) = await call.received("played")
    assert (played["seconds"], played["interrupted"]) == (1.0, False)


async def test_the_server_hears_the_microphone(open_page: Open, studio: StandInStudio) -> None:
    """Speech arrives in real time at 24 kHz, and as silence while it is muted."""
    page = await open_page()
    call = await talk(page, studio)
    await call.speech()
    await page.keyboard.press("Alt+KeyM")
    await shown(page, "#mute", "Unmute")
    await call.heard(0.2)
    assert set(await call.heard(0.5)) == {0}
    await page.click("#mute")
    await shown(page, "#mute", "Mute")


async def test_the_microphone_is_asked_for_once(open_page: Open, studio: StandInStudio) -> None:
    """While a person is still to allow it nothing asks again, and hanging up gives it back."""
    page = await open_page()
    await page.evaluate("""() => {
        const ask = MediaDevices.prototype.getUserMedia;
        window.allowed = new Promise((allow) => { window.allow = allow; });
        window.tracks = [];
        MediaDevices.prototype.getUserMedia = async function (wanted) {
            const stream = await ask.call(this, wanted);
            window.tracks.push(...stream.getTracks());
            await window.allowed;
            return stream;
        };
    }""")
    await page.click("#talk")
    await shown(page, "#doing", "allow the microphone")
    await page.keyboard.press("Alt+KeyM")
    await page.keyboard.press("Alt+KeyM")
    await shown(page, "#mute:focus", "Use microphone")
    await page.keyboard.press("Enter")
    await page.evaluate("window.allow()")
    call = await (await studio.call()).start()
    await call.speech()
    await page.keyboard.press("Alt+KeyH")
    await call.gone()
    assert await page.evaluate("window.tracks.map((track) => track.readyState)") == ["ended"]


async def test_the_microphone_leaves_out_what_the_page_plays(
    open_page: Open, studio: StandInStudio
) -> None:
    """Echo cancellation is asked for, not left to the browser, and given."""
    page = await open_page()
    await page.evaluate("""() => {
        const ask = MediaDevices.prototype.getUserMedia;
        MediaDevices.prototype.getUserMedia = async function (wanted) {
            const stream = await ask.call(this, wanted);
            const given = stream.getAudioTracks()[0].getSettings();
            window.echo = [wanted.audio.echoCancellation, given.echoCancellation];
            return stream;
        };
    }""")
    call = await talk(page, studio)
    await call.speech()
    assert await page.evaluate("window.echo") == [True, True]


@pytest.mark.parametrize("rate", [24_000, 44_100, 48_000])
async def test_the_microphone_is_resampled_where_the_browser_does_not(
    rate: int, open_page: Open, studio: StandInStudio
) -> None:
    """A tone keeps its pitch and its strength, and what no 24 kHz can carry is left out."""
    page = await open_page()
    script = """async (rate) => {
        const { Resampler } = await import("/page/resampler.js");
        const resampler = new Resampler(rate, 24000);
        const tone = (hz) => (_, index) => 0.25 * Math.sin(2 * Math.PI * hz * index / rate);
        const low = Float32Array.from({length: 4 * rate}, tone(1000));
        const high = Float32Array.from({length: 4 * rate}, tone(13500));
        const mixed = low.map((sample, index) => sample + (rate > 27000 ? high[index] : 0));
        const made = [];
        for (let at = 0; at < mixed.length; at += 128) {
            made.push(...resampler.push(mixed.subarray(at, at + 128)));
        }
        return made;
    }"""
    samples = np.array(await page.evaluate(script, rate))
    assert len(samples) == pytest.approx(4 * sound.RATE, abs=64)
    spectrum = np.abs(np.fft.rfft(samples[12_000:84_000] * np.hanning(72_000))) / 36_000
    frequencies = np.fft.rfftfreq(72_000, 1 / sound.RATE)
    assert frequencies[np.argmax(spectrum)] == pytest.approx(1000, abs=1)
    assert spectrum.max() == pytest.approx(0.125, rel=0.05)
    elsewhere = spectrum[np.abs(frequencies - 1000) > 50]
    assert elsewhere.max() < spectrum.max() / 500


async def test_a_browser_with_two_rates_is_heard_as_well(
    open_page: Open, studio: StandInStudio
) -> None:
    """Where the microphone cannot join the page's context, it gets one of its own (Firefox)."""
    page = await open_page()
    await page.evaluate("""() => {
        const source = AudioContext.prototype.createMediaStreamSource;
        AudioContext.prototype.createMediaStreamSource = function (stream) {
            if (this.sampleRate === 24000) throw new DOMException("rates", "NotSupportedError");
            return source.call(this, stream);
        };
    }""")
    call = await talk(page, studio)
    await call.speech()


async def test_without_a_microphone_one_types(open_page: Open, studio: StandInStudio) -> None:
    """A refused microphone is said, and the call goes on by typing."""
    studio.microphone_allowed = False
    page = await open_page()
    call = await talk(page, studio)
    await shown(page, ".event", "The microphone was not allowed for this page")
    await shown(page, "#mute", "Use microphone")
    await page.fill("#text", "What do you have on Monday?")
    await page.keyboard.press("Enter")
    (typed,) = await call.received("text")
    assert typed["text"] == "What do you have on Monday?"
    assert call.microphone == b""


async def test_typing_begins_a_call(open_page: Open, studio: StandInStudio) -> None:
    """A typed line waits for its call to start; the microphone can join later."""
    page = await open_page()
    await page.fill("#text", "Hello")
    await page.click("#send")
    call = await studio.call()
    assert call.messages == []
    await call.start()
    (typed,) = await call.received("text")
    assert typed["text"] == "Hello"
    assert call.microphone == b""
    await page.click("#mute")
    await call.speech()


async def test_hanging_up_ends_sound_and_call(open_page: Open, studio: StandInStudio) -> None:
    """Hanging up is silence at once, and the page is ready for the next call."""
    page = await open_page()
    call = await talk(page, studio)
    await call.play(sound.tone(440, 10))
    await browser.wait_tone(page, 440)
    await page.evaluate("""document.getElementById("hangup").addEventListener(
        "click", () => { window.hungUp = performance.now() / 1000; }, true)""")
    await page.click("#hangup")
    await call.gone()
    await browser.wait_silence(page)
    assert await browser.last_tone(page, 440) - await page.evaluate("window.hungUp") < 0.15
    assert call.messages[-1] == {"type": "hang_up"}
    await shown(page, ".ended", "You hung up")
    again = await talk(page, studio)
    await again.speak(sound.tone(880, 0.4))
    await again.received("played")


async def test_two_pages_have_a_call_each(open_page: Open, studio: StandInStudio) -> None:
    """What one page hears, the other does not."""
    one, other = await open_page(), await open_page()
    first, second = await talk(one, studio), await talk(other, studio)
    await first.speak(sound.tone(440, 0.5))
    await second.speak(sound.tone(880, 0.5))
    await browser.wait_tone(one, 440)
    await browser.wait_tone(other, 880)
    await one.click("#hangup")
    await first.gone()
    assert not second.closed


async def test_the_end_of_a_call_is_told(open_page: Open, studio: StandInStudio) -> None:
    """A server that ends the call, refuses it or breaks is told apart."""
    page = await open_page()
    call = await talk(page, studio)
    await call.tell("ended", reason="no backend can carry the call")
    await shown(page, ".ended", "no backend can carry the call")
    refused = await talk(page, studio)
    await refused.close(4000, "too many calls")
    await shown(page, ".ended", "too many calls")
    await talk(page, studio)
    await studio.stop()
    await shown(page, ".ended", "The connection to the server broke")
