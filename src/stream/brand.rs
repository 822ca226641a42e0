//! The makers of cameras, by what their cameras say and by their URLs, and what a setting is called in their menus.
//!
//! Owns the names alone. What is wrong with a video is said elsewhere, in words that hold for every camera: the name of
//! the menu stands behind them where it is known (docs/CAMERAS.md, "By brand").

/// A maker whose menus are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brand {
    /// Axis.
    Axis,
    /// Dahua, and who sells its cameras: Amcrest, Lorex.
    Dahua,
    /// Hanwha Vision, Samsung before.
    Hanwha,
    /// Hikvision, and who sells its cameras.
    Hikvision,
    /// Reolink.
    Reolink,
    /// TP-Link: Tapo, VIGI, Mercury.
    TpLink,
    /// Uniview.
    Uniview,
}

/// What there is to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The codec of the video.
    Codec,
    /// Whether pictures refer to later ones, mostly by way of the profile.
    BFrames,
    /// How often a keyframe comes, and whether the camera makes that longer by itself.
    Keyframes,
    /// The codec of the sound.
    Sound,
}

impl Setting {
    /// All of them.
    pub const ALL: [Setting; 4] = [Setting::Codec, Setting::BFrames, Setting::Keyframes, Setting::Sound];
}

impl Brand {
    /// All of them.
    pub const ALL: [Brand; 7] = [
        Brand::Axis,
        Brand::Dahua,
        Brand::Hanwha,
        Brand::Hikvision,
        Brand::Reolink,
        Brand::TpLink,
        Brand::Uniview,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Brand::Axis => "Axis",
            Brand::Dahua => "Dahua",
            Brand::Hanwha => "Hanwha",
            Brand::Hikvision => "Hikvision",
            Brand::Reolink => "Reolink",
            Brand::TpLink => "TP-Link",
            Brand::Uniview => "Uniview",
        }
    }

    /// Whose camera it is: by what it `said` of itself, each a line, else by `path`, which is that of its URL, with the query.
    pub fn of<'a>(path: &str, said: impl IntoIterator<Item = &'a str>) -> Option<Brand> {
        let mut by_word = None;
        for line in said {
            let line = line.to_ascii_lowercase();
            // A maker whose menus are not known has URLs that are like another's.
            if OTHERS.iter().any(|word| line.contains(word)) {
                return None;
            }
            let brand = WORDS.iter().find(|(word, _)| line.contains(word)).map(|(_, brand)| *brand);
            by_word = by_word.or(brand);
        }
        let path = path.to_ascii_lowercase();
        by_word.or_else(|| PATHS.iter().find(|(part, _)| path.contains(part)).map(|(_, brand)| *brand))
    }

    /// Where its menus have a setting, and what to choose there; `None` where that is not known, or differs from model to model.
    pub fn menu(self, setting: Setting) -> Option<&'static str> {
        Some(match (self, setting) {
            (Brand::Axis, Setting::Codec) => "Video > Stream > Codec, or videocodec=h264 in its URL",
            (Brand::Axis, Setting::BFrames) => {
                "Video > Stream > Zipstream, storage profile off, or videozprofile=classic in its URL"
            }
            (Brand::Axis, Setting::Keyframes) => {
                "Video > Stream, GOP length, and Dynamic GOP of Zipstream off"
            }
            (Brand::Axis, Setting::Sound) => "Audio > Encoding",
            (Brand::Dahua, Setting::Codec) => "Camera > Video > Encode Mode H.264",
            (Brand::Dahua, Setting::BFrames) => "Camera > Video > Encode Mode H.264B",
            (Brand::Dahua, Setting::Keyframes) => {
                "Camera > Video > I Frame Interval, twice the frame rate, and Smart Codec off"
            }
            (Brand::Dahua, Setting::Sound) => "Camera > Audio > Encode Mode G.711A",
            (Brand::Hanwha, Setting::Codec) => "Basic > Video profile > Codec H.264",
            (Brand::Hanwha, Setting::BFrames) => "Basic > Video profile > Advanced > Profile Baseline",
            (Brand::Hanwha, Setting::Keyframes) => {
                "Basic > Video profile > Advanced > GOV length, and Dynamic GOV of WiseStream off"
            }
            (Brand::Hanwha, Setting::Sound) => "Video & Audio > Audio setup > Codec G.711",
            (Brand::Hikvision, Setting::Codec) => "Video/Audio > Video > Video Encoding H.264",
            (Brand::Hikvision, Setting::BFrames) => "Video/Audio > Video > Profile Basic",
            (Brand::Hikvision, Setting::Keyframes) => {
                "Video/Audio > Video > I Frame Interval, twice the frame rate, and H.264+ or H.265+ off"
            }
            (Brand::Hikvision, Setting::Sound) => "Video/Audio > Audio > Audio Encoding G.711alaw",
            (Brand::Reolink, Setting::BFrames) => "Stream > H.264 Profile Base",
            (Brand::Reolink, Setting::Keyframes) => "Stream > I-frame Interval",
            (Brand::Uniview, Setting::Codec) => "Video & Audio > Video > Video Compression H.264",
            (Brand::Uniview, Setting::Keyframes) => {
                "Video & Audio > Video > I Frame Interval, twice the frame rate, and Smart Encoding (U-Code) off"
            }
            (Brand::Uniview, Setting::Sound) => "Video & Audio > Audio > Audio Compression G.711A",
            (Brand::Reolink, Setting::Codec | Setting::Sound)
            | (Brand::Uniview, Setting::BFrames)
            | (Brand::TpLink, _) => return None,
        })
    }

    /// What stands behind the words of a remedy: ` (Dahua: Camera > Video > Encode Mode H.264B)`; empty where it is not known.
    pub fn entry(brand: Option<Brand>, setting: Setting) -> String {
        let menu = brand.and_then(|brand| Some((brand.name(), brand.menu(setting)?)));
        menu.map_or(String::new(), |(name, menu)| format!(" ({name}: {menu})"))
    }
}

/// What cameras say of themselves in `Server`, `s=`, `i=` and in attributes of the session, in lower case.
const WORDS: [(&str, Brand); 8] = [
    ("axis", Brand::Axis),
    ("packetization-supported:dh", Brand::Dahua),
    ("samsung", Brand::Hanwha),
    ("hik media server", Brand::Hikvision),
    ("session streamed by \"preview\"", Brand::Reolink),
    ("tp-link", Brand::TpLink),
    ("mercury rtsp server", Brand::TpLink),
    ("vcp ipc", Brand::Uniview),
];

/// Makers that are none of these and whose URLs are like theirs.
const OTHERS: [&str; 1] = ["sony"];

/// Parts of URLs that one maker has, in lower case.
const PATHS: [(&str, Brand); 13] = [
    ("/axis-media/media.amp", Brand::Axis),
    ("/cam/realmonitor", Brand::Dahua),
    ("/media.smp", Brand::Hanwha),
    ("/streaming/channels/", Brand::Hikvision),
    ("/streaming/tracks/", Brand::Hikvision),
    ("/isapi/streaming/", Brand::Hikvision),
    ("/h264/ch", Brand::Hikvision),
    ("h264preview_", Brand::Reolink),
    ("h265preview_", Brand::Reolink),
    ("/preview_", Brand::Reolink),
    ("/media/video", Brand::Uniview),
    ("/unicast/c", Brand::Uniview),
    ("/multicast/c", Brand::Uniview),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maker_is_told_by_what_its_camera_says_and_else_by_its_url() {
        for (path, said, brand) in [
            ("/Streaming/Channels/101", &["Media Presentation"][..], Some(Brand::Hikvision)),
            ("/cam/realmonitor?channel=1&subtype=0", &["Media Server"], Some(Brand::Dahua)),
            ("/x", &["Media Server", "packetization-supported:DH"], Some(Brand::Dahua)),
            ("/stream1", &["Session streamed by \"TP-LINK RTSP Server\""], Some(Brand::TpLink)),
            ("/stream1", &["Session streamed by \"x\""], None),
            ("/media/video1", &["VCP IPC Realtime stream"], Some(Brand::Uniview)),
            ("/media/video1", &[], Some(Brand::Uniview)),
            ("/media/video1", &["Sony RTSP Server"], None),
            ("//h264Preview_01_main", &["Session streamed by \"preview\""], Some(Brand::Reolink)),
            ("/profile2/media.smp", &["Media Presentation", "samsung"], Some(Brand::Hanwha)),
            ("/axis-media/media.amp?fps=1", &["GStreamer RTSP server"], Some(Brand::Axis)),
            // A recorder that hands on another's stream says whose it is itself.
            ("/Streaming/Channels/101", &["packetization-supported:DH"], Some(Brand::Dahua)),
        ] {
            assert_eq!(Brand::of(path, said.iter().copied()), brand, "{path} {said:?}");
        }
    }

    #[test]
    fn a_menu_is_named_behind_the_words_where_it_is_known() {
        let entry = Brand::entry(Some(Brand::Dahua), Setting::BFrames);
        assert_eq!(entry, " (Dahua: Camera > Video > Encode Mode H.264B)");
        assert_eq!(Brand::entry(Some(Brand::TpLink), Setting::Codec), "");
        assert_eq!(Brand::entry(None, Setting::Codec), "");
    }
}
