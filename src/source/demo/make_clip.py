#!/usr/bin/python3
"""Makes the demo loop that is embedded in the binary: clip.h264 and clip.opus.bin, beside this file.

Needs Debian's ffmpeg, python3-cairo and fonts-dejavu-core:

    ./make_clip.py                  make both assets, then check them
    ./make_clip.py --check          check the assets that are there
    ./make_clip.py --png 98 F.png   draw one frame

clip.h264      H.264 Annex B, Constrained Baseline 3.1 (42c01f), 1280x720, 30 frames/s, 300 frames.
               Every access unit is one AUD and one slice; every 60th is an IDR with SPS and PPS before it.
               To split it into access units, cut before each AUD: 00 00 00 01 09.
clip.opus.bin  500 times [length: u16 big-endian][one Opus packet], 20 ms each, stereo, 48 kHz.

Both last 10.000 s and are made to be repeated without a seam. A chime begins, and the ring of the clock
flashes, at each full second: what is seen and what is heard can be compared.
"""

import argparse
import math
import pathlib
import struct
import subprocess
import sys
import tempfile
from array import array

import cairo

HERE = pathlib.Path(__file__).resolve().parent
VIDEO, AUDIO = HERE / "clip.h264", HERE / "clip.opus.bin"

WIDTH, HEIGHT, FPS, GOP, SECONDS = 1280, 720, 30, 60, 10
FRAMES = FPS * SECONDS
RATE, PACKET_MS = 48_000, 20
SAMPLES = RATE * SECONDS
PACKETS = SECONDS * 1000 // PACKET_MS
# libopus delays by 6.5 ms (its look-ahead, the pre-skip of RFC 7845); the source is turned back by as much.
LOOK_AHEAD = 312

NIGHT, PANEL, LINE = (0.035, 0.055, 0.098), (0.055, 0.082, 0.141), (0.125, 0.176, 0.275)
WHITE, MUTED, CYAN, AMBER = (0.93, 0.96, 1.0), (0.50, 0.58, 0.70), (0.20, 0.80, 0.92), (1.0, 0.72, 0.25)
SANS, MONO = "DejaVu Sans", "DejaVu Sans Mono"


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--check", action="store_true", help="check the assets that are there")
    args.add_argument("--png", nargs=2, metavar=("FRAME", "FILE"), help="draw one frame")
    args = args.parse_args()
    if args.png:
        draw(int(args.png[0]) % FRAMES).write_to_png(args.png[1])
        return
    if not args.check:
        make_video()
        make_audio()
    check()


# ---------------------------------------------------------------------------------------------- video


def make_video():
    """Draws all frames into x264. No B frames, no look-ahead, one slice: what a camera's encoder does."""
    x264 = (
        f"keyint={GOP}:min-keyint={GOP}:scenecut=0:bframes=0:ref=1:slices=1:sliced-threads=0:threads=1:"
        "rc-lookahead=0:aud=1:repeat-headers=1:aq-mode=3:colorprim=bt709:transfer=bt709:colormatrix=bt709"
    )
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgra", "-s", f"{WIDTH}x{HEIGHT}"]
    command += ["-r", str(FPS), "-i", "-", "-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"]
    command += ["-c:v", "libx264", "-profile:v", "baseline", "-level", "3.1", "-preset", "veryslow"]
    command += ["-crf", "22", "-maxrate", "1600k", "-bufsize", "1600k", "-x264-params", x264]
    # SEI messages (NAL type 6) hold only the encoder's name here.
    command += ["-bsf:v", "filter_units=remove_types=6", "-f", "h264", str(VIDEO)]
    encoder = subprocess.Popen(command, stdin=subprocess.PIPE)
    for number in range(FRAMES):
        encoder.stdin.write(draw(number).get_data())
    encoder.stdin.close()
    if encoder.wait() != 0:
        sys.exit("ffmpeg could not encode the video")


def draw(number):
    """One frame. Every motion has a period that divides 10 s, so that frame 299 runs into frame 0."""
    surface = cairo.ImageSurface(cairo.FORMAT_RGB24, WIDTH, HEIGHT)
    c = cairo.Context(surface)
    c.set_antialias(cairo.ANTIALIAS_BEST)
    c.set_source_rgb(*NIGHT)
    c.paint()
    seconds = number / FPS
    draw_title(c)
    draw_fan_out(c, seconds)
    draw_clock(c, number)
    draw_gops(c, number)
    draw_bars(c, seconds)
    surface.flush()
    return surface


def draw_title(c):
    text(c, 64, 116, "SLUICE", SANS, 76, WHITE, bold=True)
    text(c, 400, 116, "demo", SANS, 76, CYAN)
    text(c, 66, 158, "This picture is inside the program. Your camera comes next:", SANS, 19, MUTED)
    box(c, 64, 176, 584, 40, 8, PANEL)
    text(c, 82, 202, "sluice cam1=rtsp://user:password@host/path", MONO, 18, AMBER)


def draw_fan_out(c, seconds):
    """One stream through the gate, many behind it: equally spaced packets at constant speed."""
    gate, left, right, middle, lanes = 300, 64, 648, 386, 7
    c.set_line_width(2)
    for lane in range(lanes):
        c.set_source_rgb(*LINE)
        trace(c, left, gate, right, middle, lane_y(lane, lanes, middle))
        c.stroke()
    # The dots of the one stream and of each lane step on by their own spacing in a whole part of a second.
    for lane in range(lanes):
        end = lane_y(lane, lanes, middle)
        for dot in range(8):
            u = (dot + 2 * seconds) / 8 % 1.0
            x, y = point(gate, right, middle, end, u)
            disc(c, x, y, 6, mix(CYAN, WHITE, 0.25 * (lane % 2)), min(1.0, 12 * u, 6 * (1 - u)))
    for dot in range(4):
        x = left + (dot + 2 * seconds) % 4 / 4 * (gate - left)
        disc(c, x, middle, 9, AMBER, 1.0)
    box(c, gate - 13, middle - 74, 26, 148, 6, PANEL)
    c.set_source_rgb(*CYAN)
    c.set_line_width(3)
    rounded(c, gate - 13, middle - 74, 26, 148, 6)
    c.stroke()
    opening = 22 + 5 * math.sin(2 * math.pi * seconds / 2)
    box(c, gate - 5, middle - opening, 10, 2 * opening, 5, AMBER)
    text(c, left, middle - 30, "1 camera", SANS, 18, MUTED)
    text(c, right, middle - 138, "many viewers", SANS, 18, MUTED, 1.0)


def lane_y(lane, lanes, middle):
    return middle + (lane - (lanes - 1) / 2) * 40


def point(x0, x1, y0, y1, u):
    """A point of the curve from the gate into a lane: constant speed to the right, an eased step across."""
    ease = min(1.0, u / 0.55)
    ease = ease * ease * (3 - 2 * ease)
    return x0 + (x1 - x0) * u, y0 + (y1 - y0) * ease


def trace(c, left, gate, right, middle, end):
    c.move_to(left, middle)
    c.line_to(gate, middle)
    for step in range(1, 65):
        c.line_to(*point(gate, right, middle, end, step / 64))


def draw_clock(c, number):
    """A dial of ten seconds: one turn of the hand is one turn of the loop."""
    x, y, radius = 962, 300, 228
    seconds = number / FPS
    flash = max(0.0, 1 - (number % FPS) / 9)
    c.set_source_rgb(*PANEL)
    c.arc(x, y, radius, 0, 2 * math.pi)
    c.fill()
    c.set_source_rgb(*mix(LINE, AMBER, flash))
    c.set_line_width(4 + 3 * flash)
    c.arc(x, y, radius, 0, 2 * math.pi)
    c.stroke()
    for tick in range(100):
        angle, long = turn(tick / 100), tick % 10 == 0
        inner = radius - (30 if long else 20 if tick % 5 == 0 else 15)
        c.set_source_rgb(*(WHITE if long else MUTED if tick % 5 == 0 else LINE))
        c.set_line_width(4 if long else 2)
        c.move_to(x + inner * math.cos(angle), y + inner * math.sin(angle))
        c.line_to(x + (radius - 9) * math.cos(angle), y + (radius - 9) * math.sin(angle))
        c.stroke()
        if long:
            far = radius - 53
            text(c, x + far * math.cos(angle), y + far * math.sin(angle) + 9, str(tick // 10), SANS, 25, MUTED, 0.5)
    angle = turn(seconds / SECONDS)
    c.set_source_rgba(*CYAN, 0.10)
    c.move_to(x, y)
    c.arc(x, y, radius - 80, turn(0), angle)
    c.fill()
    c.set_line_cap(cairo.LINE_CAP_ROUND)
    c.set_source_rgb(*CYAN)
    c.set_line_width(7)
    c.move_to(x + 118 * math.cos(angle), y + 118 * math.sin(angle))
    c.line_to(x + (radius - 34) * math.cos(angle), y + (radius - 34) * math.sin(angle))
    c.stroke()
    c.set_line_cap(cairo.LINE_CAP_BUTT)
    disc(c, x, y, 112, NIGHT, 1.0)
    # Each glyph has its own place: the digits do not dance.
    for place, glyph in enumerate(f"{seconds:05.2f}"):
        text(c, x + (place - 2) * 36, y + 14, glyph, MONO, 60, WHITE, 0.5, bold=True)
    text(c, x, y + 54, f"frame {number:03d}", MONO, 24, MUTED, 0.5)


def turn(part):
    return 2 * math.pi * part - math.pi / 2


def draw_gops(c, number):
    """The five groups of pictures of the loop; the head of each is the keyframe that a late viewer starts from."""
    x, y, width, gap = 64, 572, 584, 8
    each = (width - 4 * gap) / 5
    for group in range(5):
        left = x + group * (each + gap)
        done = min(1.0, max(0.0, (number - group * GOP + 1) / GOP))
        box(c, left, y, each, 10, 5, LINE)
        if done > 0:
            box(c, left, y, max(10, each * done), 10, 5, CYAN if done < 1 else mix(CYAN, NIGHT, 0.55))
        disc(c, left + 5, y + 5, 5, AMBER, 1.0)
    text(c, x, y - 14, "keyframes, one every 2 s", SANS, 16, MUTED)
    text(c, 962, y + 10, "1280 × 720   30 frames/s   H.264   Opus, a chime each second", SANS, 16, MUTED, 0.5)


def draw_bars(c, seconds):
    """Colour bars and grey steps with a line that sweeps once in 2 s: it shows judder and torn pictures."""
    top, height, left, width = 612, 72, 64, 1152
    colours = [(1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1)]
    each = width / len(colours)
    for place, colour in enumerate(colours):
        c.set_source_rgb(*(0.75 * part for part in colour))
        c.rectangle(round(left + place * each), top, round(each) + 1, height - 20)
        c.fill()
    for step in range(16):
        c.set_source_rgb(*(step / 15,) * 3)
        c.rectangle(left + step * width / 16, top + height - 20, width / 16, 20)
        c.fill()
    x = left + seconds / 2 % 1.0 * width
    c.set_source_rgb(*NIGHT)
    c.rectangle(x - 6, top - 6, 12, height + 12)
    c.fill()
    c.set_source_rgb(*WHITE)
    c.rectangle(x - 3, top - 6, 6, height + 12)
    c.fill()


def text(c, x, y, words, family, size, colour, anchor=0.0, bold=False):
    c.select_font_face(family, cairo.FONT_SLANT_NORMAL, cairo.FONT_WEIGHT_BOLD if bold else cairo.FONT_WEIGHT_NORMAL)
    c.set_font_size(size)
    c.set_source_rgb(*colour)
    c.move_to(x - anchor * c.text_extents(words).x_advance, y)
    c.show_text(words)


def rounded(c, x, y, width, height, radius):
    radius = min(radius, width / 2, height / 2)
    c.new_sub_path()
    for corner, (cx, cy) in enumerate([(x + width, y), (x + width, y + height), (x, y + height), (x, y)]):
        dx, dy = (-radius if corner in (0, 1) else radius), (radius if corner in (0, 3) else -radius)
        c.arc(cx + dx, cy + dy, radius, (corner - 1) * math.pi / 2, corner * math.pi / 2)
    c.close_path()


def box(c, x, y, width, height, radius, colour):
    c.set_source_rgb(*colour)
    rounded(c, x, y, width, height, radius)
    c.fill()


def disc(c, x, y, radius, colour, alpha):
    c.set_source_rgba(*colour, alpha)
    c.arc(x, y, radius, 0, 2 * math.pi)
    c.fill()


def mix(a, b, part):
    return tuple(p + (q - p) * part for p, q in zip(a, b))


# ---------------------------------------------------------------------------------------------- audio


def make_audio():
    """Encodes the loop three times in a row and keeps the middle: its first packet continues its last."""
    left, right = chimes()
    pcm = array("h")
    for n in range(3 * SAMPLES):
        at = (n + LOOK_AHEAD) % SAMPLES
        pcm.append(round(32767 * left[at]))
        pcm.append(round(32767 * right[at]))
    if sys.byteorder == "big":
        pcm.byteswap()
    with tempfile.TemporaryDirectory() as scratch:
        ogg = pathlib.Path(scratch) / "chimes.ogg"
        command = ["ffmpeg", "-v", "error", "-f", "s16le", "-ar", str(RATE), "-ac", "2", "-i", "-"]
        command += ["-c:a", "libopus", "-b:a", "36k", "-vbr", "on", "-frame_duration", str(PACKET_MS)]
        command += ["-application", "audio", str(ogg)]
        subprocess.run(command, input=pcm.tobytes(), check=True)
        # The first two packets of an Ogg Opus stream are its headers (RFC 7845 §3).
        packets = ogg_packets(ogg.read_bytes())[2:]
    middle = packets[PACKETS : 2 * PACKETS]
    AUDIO.write_bytes(b"".join(struct.pack(">H", len(packet)) + packet for packet in middle))


def chimes():
    """Ten soft bells, one a second, in a pentatonic round; a tail runs over the end into the beginning."""
    left, right = [0.0] * SAMPLES, [0.0] * SAMPLES
    notes = [880.00, 587.33, 659.26, 783.99, 587.33, 739.99, 659.26, 493.88, 587.33, 659.26]
    # A bell's partials: frequency, loudness, seconds until 1/e.
    partials = [(1.0, 1.0, 0.42), (2.0, 0.32, 0.25), (2.76, 0.16, 0.12), (5.4, 0.05, 0.05)]
    for second, note in enumerate(notes):
        pan = 0.5 + 0.28 * math.sin(2 * math.pi * second / SECONDS)
        for n in range(int(2.4 * RATE)):
            t = n / RATE
            attack = min(1.0, t / 0.004)
            value = sum(a * math.exp(-t / d) * math.sin(2 * math.pi * f * note * t) for f, a, d in partials)
            value *= 0.11 * attack
            at = (second * RATE + n) % SAMPLES
            left[at] += value * math.cos(pan * math.pi / 2)
            right[at] += value * math.sin(pan * math.pi / 2)
    return left, right


def ogg_packets(data):
    """The packets of an Ogg file with one stream (RFC 3533 §6): laces of 255 bytes go on, a shorter one ends."""
    packets, parts, at = [], [], 0
    while at < len(data):
        assert data[at : at + 4] == b"OggS", f"no Ogg page at byte {at}"
        laces = data[at + 27 : at + 27 + data[at + 26]]
        at += 27 + len(laces)
        for lace in laces:
            parts.append(data[at : at + lace])
            at += lace
            if lace < 255:
                packets.append(b"".join(parts))
                parts = []
    return packets


# ---------------------------------------------------------------------------------------------- check


def check():
    """Fails unless the files are what the top of this file says; ffmpeg decodes both as the second opinion."""
    data = VIDEO.read_bytes()
    units = [b"\0\0\0\1\x09" + unit for unit in data.split(b"\0\0\0\1\x09")[1:]]
    assert b"".join(units) == data, "the video does not begin with an AUD"
    for number, unit in enumerate(units):
        kinds = [nal[0] & 31 for nal in nals(unit)]
        expected = [9, 7, 8, 5] if number % GOP == 0 else [9, 1]
        assert kinds == expected, f"frame {number} has NAL types {kinds}, not {expected}"
    assert nals(units[0])[1][1:4].hex() == "42c01f", "the profile is not Constrained Baseline 3.1"
    assert len(units) == FRAMES, f"{len(units)} frames, not {FRAMES}"
    decoded = ffmpeg("-i", VIDEO, "-f", "framecrc", "-").count(b"\n0,")
    assert decoded == FRAMES, f"ffmpeg decodes {decoded} frames, not {FRAMES}"

    data, packets, at = AUDIO.read_bytes(), [], 0
    while at < len(data):
        (length,) = struct.unpack_from(">H", data, at)
        packets.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    assert at == len(data) and len(packets) == PACKETS, f"{len(packets)} packets, not {PACKETS}"
    for number, packet in enumerate(packets):
        # RFC 6716 §3.1: code 0 (one frame); 20 ms is the odd configuration of a SILK or hybrid group, the last of CELT's.
        config, code = packet[0] >> 3, packet[0] & 3
        long = config in (1, 5, 9, 13, 15) if config < 16 else config % 4 == 3
        assert code == 0 and long, f"audio packet {number} is not one frame of 20 ms"

    for name, frames, limit in (("video", units, 1600), ("audio", packets, 64)):
        size, biggest = sum(map(len, frames)), max(map(len, frames))
        rate = size * 8 / SECONDS / 1000
        print(f"{name}: {len(frames)} frames, {size} bytes, {rate:.0f} kb/s, largest {biggest}")
        assert rate <= limit, f"the {name} has {rate:.0f} kb/s, more than {limit}"


def nals(unit):
    return [part.rstrip(b"\0") for part in unit.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]]


def ffmpeg(*args):
    return subprocess.run(["ffmpeg", "-v", "error", *map(str, args)], check=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    main()
