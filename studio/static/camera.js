// The camera, where the browser gives access to one: mirrored or not, front or back, at once or after three seconds.

const $ = (id) => document.getElementById(id);
const DELAY = 3; // seconds of the timer
let stream = null;
let facing = "environment";
let counting = 0;

/** Whether it can be requested: browsers allow cameras on localhost and https alone. */
export const hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia);

/** Show the camera's picture; rejects where access is denied. */
export async function startCamera() {
  stopCamera();
  stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: facing, width: { ideal: 1920 }, height: { ideal: 1080 } } });
  $("video").srcObject = stream;
  await $("video").play();
}

export function stopCamera() {
  clearInterval(counting);
  $("count").textContent = "";
  stream?.getTracks().forEach((track) => track.stop());
  stream = $("video").srcObject = null;
}

/** Front instead of back, and the other way; a front camera is a mirror at first. */
export function flipCamera() {
  facing = facing === "user" ? "environment" : "user";
  mirror(facing === "user");
  return startCamera();
}

export const isMirrored = () => $("mirror").getAttribute("aria-pressed") === "true";

export function mirror(on) {
  $("mirror").setAttribute("aria-pressed", on);
  $("video").classList.toggle("mirrored", on);
}

/** Count down where the timer is on. Never resolves where the camera is stopped meanwhile. */
export function wait() {
  clearInterval(counting);
  if ($("timer").getAttribute("aria-pressed") !== "true") return Promise.resolve();
  let left = DELAY;
  $("count").textContent = left;
  return new Promise((resolve) => {
    counting = setInterval(() => {
      left -= 1;
      $("count").textContent = left || "";
      if (left) return;
      clearInterval(counting);
      resolve();
    }, 1000);
  });
}

/** The current frame as a JPEG file, as it is seen. */
export function shoot() {
  const video = $("video");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const pen = canvas.getContext("2d");
  if (isMirrored()) pen.setTransform(-1, 0, 0, 1, canvas.width, 0);
  pen.drawImage(video, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
}
