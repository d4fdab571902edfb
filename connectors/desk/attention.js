/* Calls a clerk who looks elsewhere: the title speaks and the icon bears a dot until the page is looked at again. A sound
   is by choice, kept in this browser; browsers let a page sound only after somebody has pressed something in it. */

const BLINK_MS = 1000;
const SOUND_MS = 180;
const TONE_HZ = 880;
const CHOICE = "opportune-desk-sound";
const ICON = "/desk/static/icon.svg";
const ICON_CALLED = "/desk/static/icon-called.svg";

const icon = document.querySelector("link[rel=icon]");
const button = document.getElementById("sound");
let name = "";
let words = "";
let blinking = 0;
let audio = null;

const attended = () => !document.hidden && document.hasFocus();

function chosen() {
  try { return localStorage.getItem(CHOICE) === "on"; } catch { return false; }
}

async function choose() {
  const on = !chosen();
  try { localStorage.setItem(CHOICE, on ? "on" : "off"); } catch { /* then it lasts as long as nothing */ }
  draw();
  if (!on) return;
  audio ??= new AudioContext();
  await audio.resume();
  sound();
}

function draw() {
  const on = chosen();
  button.textContent = on ? "声音：开" : "声音：关";
  button.setAttribute("aria-pressed", String(on));
}

/* What the browser does not let sound now is not sounded later: nobody wants five calls at once. */
function sound() {
  audio ??= new AudioContext();
  if (audio.state !== "running") return;
  const tone = audio.createOscillator();
  const loudness = audio.createGain();
  tone.frequency.value = TONE_HZ;
  loudness.gain.setValueAtTime(0.15, audio.currentTime);
  loudness.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + SOUND_MS / 1000);
  tone.connect(loudness).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + SOUND_MS / 1000);
}

function blink() {
  document.title = document.title === name ? words : name;
}

function rest() {
  if (!blinking || !attended()) return;
  clearInterval(blinking);
  blinking = 0;
  document.title = name;
  icon.href = ICON;
}

/* Say in the title what there is to see, unless the page is looked at. */
export function call(what) {
  if (attended()) return;
  words = `● ${what}`;
  document.title = words;
  icon.href = ICON_CALLED;
  blinking ||= setInterval(blink, BLINK_MS);
  if (chosen()) sound();
}

/* `title` is what the page is called while nobody is called. */
export function attend(title) {
  name = title;
  document.title = title;
  draw();
  button.addEventListener("click", choose);
  document.addEventListener("visibilitychange", rest);
  window.addEventListener("focus", rest);
}
