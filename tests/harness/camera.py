#!/usr/bin/python3
"""A camera for the tests: an RTSP server by GStreamer with a moving picture and a tone.

Prints "READY rtsp://ADDRESS:PORT/PATH" once it listens, then a line when a client plays ("SESSION"), ends its
session ("TEARDOWN") or is gone ("CLOSED"); ends on SIGTERM. All clients share one encoder, as with a camera.

Needs the Debian packages python3-gi, gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-{base,good,bad,ugly},
gstreamer1.0-libav and glib-networking; run it with /usr/bin/python3, which sees them.
"""

import argparse
import signal
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

AUDIO = {
    "pcmu": "mulawenc ! rtppcmupay name=pay1 pt=0",
    "pcma": "alawenc ! rtppcmapay name=pay1 pt=8",
    "opus": "opusenc bitrate=48000 ! rtpopuspay name=pay1 pt=97",
    "g722": "avenc_g722 ! rtpg722pay name=pay1 pt=9",
    "g726": "avenc_g726 bitrate=16000 ! rtpg726pay name=pay1 pt=97",
    "aac": "avenc_aac bitrate=64000 ! aacparse ! rtpmp4gpay name=pay1 pt=97",
    "aac-16k": "avenc_aac bitrate=32000 ! aacparse ! rtpmp4gpay name=pay1 pt=97",
    "aac-44k": "avenc_aac bitrate=64000 ! aacparse ! rtpmp4gpay name=pay1 pt=97",
    "latm": "avenc_aac bitrate=64000 ! aacparse ! rtpmp4apay name=pay1 pt=97",
    "l16": "rtpL16pay name=pay1 pt=97",
}
AUDIO_RATE = {
    "pcmu": "rate=8000,channels=1",
    "pcma": "rate=8000,channels=1",
    "g726": "rate=8000,channels=1",
    "g722": "rate=16000,channels=1",
    "aac-16k": "rate=16000,channels=1",
    "aac-44k": "rate=44100,channels=2",
    "l16": "rate=32000,channels=1",
}

VIDEO = {
    # config-interval -1: parameter sets before every IDR; 0: only in the session description.
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast bitrate={kbps} key-int-max={gop} {headers}! "
    "video/x-h264,profile=constrained-baseline{format} ! rtph264pay name=pay0 pt=96 config-interval={interval} mtu={mtu}",
    # B pictures, which encoders only make with some time to look ahead.
    "h264-b": "x264enc speed-preset=veryfast bframes=2 b-adapt=false rc-lookahead=4 bitrate={kbps} key-int-max={gop} ! "
    "video/x-h264,profile=main ! rtph264pay name=pay0 pt=96 config-interval=-1 mtu={mtu}",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast bitrate={kbps} key-int-max={gop} ! "
    "rtph265pay name=pay0 pt=96 config-interval={interval} mtu={mtu}",
    "mjpeg": "jpegenc ! rtpjpegpay name=pay0 pt=26 mtu={mtu}",
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--path", default="/cam")
    parser.add_argument("--video", choices=[*VIDEO, "none"], default="h264")
    parser.add_argument("--audio", choices=[*AUDIO, "none"], default="none")
    parser.add_argument("--clip", help="H.264 and samples in a .mov to play once, instead of the pattern and the tone")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--gop", type=int, default=60, help="pictures from one IDR to the next")
    parser.add_argument("--kbps", type=int, default=2000)
    parser.add_argument("--mtu", type=int, default=1400, help="bytes of an RTP packet at the most")
    parser.add_argument("--pattern", default="ball", help="of videotestsrc")
    parser.add_argument("--feedback", action="store_true", help="profile RTP/AVPF: it may be asked for keyframes")
    parser.add_argument("--only", choices=["tcp", "udp", "multicast"], help="the one way that media goes; others get 461")
    parser.add_argument("--certificate", help="PEM: RTSP over TLS with it and --key")
    parser.add_argument("--key")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--auth", choices=["basic", "digest"], default="digest")
    parser.add_argument(
        "--no-parameter-sets",
        action="store_true",
        help="H.264 parameter sets only in the session description, never in the stream",
    )
    return parser.parse_args()


def pipeline(args):
    """The launch line: encoders that end in payloaders pay0 and pay1, as GstRTSPMediaFactory wants them."""
    if args.clip:
        rate = AUDIO_RATE.get(args.audio, "rate=48000,channels=2")
        return (
            f"( filesrc location={args.clip} ! qtdemux name=clip "
            "clip.video_0 ! queue ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 "
            f"clip.audio_0 ! queue ! audioconvert ! audioresample ! audio/x-raw,{rate} ! {AUDIO[args.audio]} )"
        )
    parts = []
    if args.video != "none":
        width, height = args.size.split("x")
        overlay = "timeoverlay ! " if Gst.ElementFactory.find("timeoverlay") else ""
        interval = 0 if args.no_parameter_sets else -1
        # The encoder repeats them, too, unless told otherwise; then only avc hands them to the payloader at all.
        headers, stream_format = "", ""
        if args.no_parameter_sets:
            headers, stream_format = "option-string=repeat-headers=0 ", ",stream-format=avc"
        encoder = VIDEO[args.video].format(
            kbps=args.kbps, gop=args.gop, interval=interval, mtu=args.mtu, headers=headers, format=stream_format
        )
        parts.append(
            f"videotestsrc is-live=true pattern={args.pattern} ! "
            f"video/x-raw,width={width},height={height},framerate={args.fps}/1,format=I420 ! {overlay}{encoder}"
        )
    if args.audio != "none":
        rate = AUDIO_RATE.get(args.audio, "rate=48000,channels=2")
        payloader = AUDIO[args.audio]
        if args.video == "none":
            payloader = payloader.replace("pay1", "pay0")
        parts.append(
            "audiotestsrc is-live=true wave=sine freq=440 samplesperbuffer=480 ! "
            f"audioconvert ! audioresample ! audio/x-raw,{rate} ! {payloader}"
        )
    return "( " + " ".join(parts) + " )"


def one_way(factory, way):
    transports = GstRtsp.RTSPLowerTrans
    factory.set_protocols({"tcp": transports.TCP, "udp": transports.UDP, "multicast": transports.UDP_MCAST}[way])
    if way == "multicast":
        pool = GstRtspServer.RTSPAddressPool()
        pool.add_range("239.255.42.1", "239.255.42.9", 5000, 5099, 2)
        factory.set_address_pool(pool)


def show_certificate(server, factory, args):
    auth = server.get_auth() or GstRtspServer.RTSPAuth()
    auth.set_tls_certificate(Gio.TlsCertificate.new_from_files(args.certificate, args.key))
    if args.user is None:
        # With an auth object everybody needs a role.
        token = GstRtspServer.RTSPToken()
        token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
        auth.set_default_token(token)
        let_view(factory)
    server.set_auth(auth)


def let_view(factory):
    factory.add_role_from_structure(
        Gst.Structure.from_string("viewer,media.factory.access=true,media.factory.construct=true")[0]
    )


def require_login(server, factory, args):
    method = GstRtsp.RTSPAuthMethod.BASIC if args.auth == "basic" else GstRtsp.RTSPAuthMethod.DIGEST
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(method)
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
    if args.auth == "basic":
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(args.user, args.password), token)
    else:
        auth.add_digest(args.user, args.password, token)
    server.set_auth(auth)
    let_view(factory)


def say(line):
    print(line, flush=True)


def main():
    args = arguments()
    Gst.init(None)

    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(pipeline(args))
    factory.set_shared(True)
    if args.feedback:
        factory.set_profiles(GstRtsp.RTSPProfile.AVPF)
    # A quick first picture: the default holds live media back for 200 ms.
    factory.set_latency(0)

    server = GstRtspServer.RTSPServer()
    server.set_address(args.address)
    server.set_service(str(args.port))
    if args.user is not None:
        require_login(server, factory, args)
    if args.certificate is not None:
        show_certificate(server, factory, args)
    if args.only is not None:
        one_way(factory, args.only)
    server.get_mount_points().add_factory(args.path, factory)

    def connected(_server, client):
        client.connect("play-request", lambda *_: say("SESSION"))
        client.connect("teardown-request", lambda *_: say("TEARDOWN"))
        client.connect("closed", lambda *_: say("CLOSED"))

    server.connect("client-connected", connected)
    if server.attach(None) == 0:
        sys.exit(f"camera.py: port {args.port} is taken")

    loop = GLib.MainLoop()
    GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGTERM, loop.quit)
    scheme = "rtsp" if args.certificate is None else "rtsps"
    say(f"READY {scheme}://{args.address}:{server.get_bound_port()}{args.path}")
    loop.run()


if __name__ == "__main__":
    main()
