use super::*;

fn base(request: &str, named: Option<&str>) -> Base {
    Base::new(&Url::parse(request).expect("a URL"), named)
}

fn track(request: &str, named: Option<&str>, control: Option<&str>) -> String {
    base(request, named).track(control, None).swap_remove(0)
}

#[test]
fn tracks_are_below_the_base() {
    for (named, control, wanted) in [
        (Some("rtsp://10.0.0.9:554/cam/"), Some("trackID=1"), "rtsp://10.0.0.9:554/cam/trackID=1"),
        (Some("rtsp://10.0.0.9:554/cam"), Some("trackID=1"), "rtsp://10.0.0.9:554/cam/trackID=1"),
        (None, Some("trackID=1"), "rtsp://10.0.0.9:554/cam/trackID=1"),
        (Some(""), Some("trackID=1"), "rtsp://10.0.0.9:554/cam/trackID=1"),
        (Some("/other/"), Some("trackID=1"), "rtsp://10.0.0.9:554/other/trackID=1"),
        (Some("nonsense"), Some("trackID=1"), "rtsp://10.0.0.9:554/cam/trackID=1"),
        (None, Some("/trackID=1"), "rtsp://10.0.0.9:554/cam/trackID=1"),
        (None, Some("*"), "rtsp://10.0.0.9:554/cam"),
        (None, None, "rtsp://10.0.0.9:554/cam"),
        (None, Some(" "), "rtsp://10.0.0.9:554/cam"),
        (None, Some("rtsp://10.0.0.9:554/x/1"), "rtsp://10.0.0.9:554/x/1"),
        (None, Some("RTSP://10.0.0.9/x/1"), "rtsp://10.0.0.9:554/x/1"),
    ] {
        assert_eq!(track("rtsp://10.0.0.9:554/cam", named, control), wanted, "{named:?} {control:?}");
    }
}

#[test]
fn queries_stay_in_front_of_what_is_appended() {
    let url = "rtsp://h/cam/realmonitor?channel=1&subtype=0";
    assert_eq!(track(url, None, Some("trackID=1")), format!("{url}/trackID=1"));
    let others = base(url, None).track(Some("trackID=1"), None);
    assert_eq!(others[1], "rtsp://h/cam/realmonitor/trackID=1?channel=1&subtype=0");
}

/// A camera behind NAT names its inner address; one that means harm names somebody else's.
#[test]
fn no_url_leaves_the_host_that_we_are_connected_to() {
    for (named, control) in [
        (Some("rtsp://192.0.2.77:554/cam/"), "trackID=1"),
        (None, "rtsp://192.0.2.77:554/cam/trackID=1"),
        (Some("rtsp://a:b@192.0.2.77/cam/"), "rtsp://c:d@192.0.2.78/cam/trackID=1"),
        (Some("rtsp://192.0.2.77/cam/"), "/cam/trackID=1"),
    ] {
        let base = base("rtsp://[2001:db8::1]:8554/cam", named);
        let urls = base
            .track(Some(control), Some("rtsp://192.0.2.79/cam/s/"))
            .into_iter()
            .chain(base.session(Some(control)));
        for url in urls {
            assert!(url.starts_with("rtsp://[2001:db8::1]:8554/cam"), "{url}");
        }
    }
}

#[test]
fn the_session_is_where_the_description_says_then_where_it_was_asked_for() {
    let base = base("rtsp://h/cam", Some("rtsp://h/cam/"));
    assert_eq!(base.session(Some("*")), ["rtsp://h/cam/", "rtsp://h/cam"]);
    assert_eq!(base.session(None), ["rtsp://h/cam/", "rtsp://h/cam"]);
    assert_eq!(base.session(Some("rtsp://h/session7"))[0], "rtsp://h/session7");
}

#[test]
fn nothing_can_be_smuggled_into_a_request_line() {
    let url = track("rtsp://h/cam", None, Some("a b\r\nX: y\u{e9}"));
    assert_eq!(url, "rtsp://h/cam/a%20b%0D%0AX:%20y%C3%A9");
    assert!(track("rtsp://h/cam", None, Some(&"x".repeat(100_000))).len() <= MAX_URL);
}

#[test]
fn the_sessions_own_control_is_a_tracks_last_reading() {
    let base = base("rtsp://h/cam", None);
    assert_eq!(base.track(None, Some("trackID=1")), ["rtsp://h/cam", "rtsp://h/cam/trackID=1"]);
    assert_eq!(
        base.track(Some("trackID=1"), Some("rtsp://h/other/")),
        ["rtsp://h/cam/trackID=1", "rtsp://h/other/trackID=1"]
    );
    for session in [None, Some("*"), Some(" ")] {
        assert_eq!(base.track(Some("rtsp://h/cam/t"), session), ["rtsp://h/cam/t"]);
    }
}
