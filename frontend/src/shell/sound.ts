// A short sound, made here: two soft notes.

const NOTES_HZ = [587, 880];
const EVERY_MS = 3_000;

let last = 0;
let context: AudioContext | null = null;

/** Sounds at most once in three seconds. A browser that has heard no gesture yet stays silent. */
export function chime(): void {
  const now = Date.now();
  if (now - last < EVERY_MS || !("AudioContext" in window)) return;
  last = now;
  context ??= new AudioContext();
  if (context.state === "suspended") return void context.resume().catch(() => {});
  const { currentTime, destination } = context;
  NOTES_HZ.forEach((hertz, index) => {
    if (!context) return;
    const start = currentTime + index * 0.11;
    const tone = context.createOscillator();
    const volume = context.createGain();
    tone.frequency.value = hertz;
    volume.gain.setValueAtTime(0, start);
    volume.gain.linearRampToValueAtTime(0.06, start + 0.015);
    volume.gain.exponentialRampToValueAtTime(0.0001, start + 0.28);
    tone.connect(volume).connect(destination);
    tone.start(start);
    tone.stop(start + 0.3);
  });
}
