// The camera, where the browser has one to give.

const $ = (id) => document.getElementById(id);
let stream = null;

/** Whether it could be asked for: browsers give cameras to localhost and https alone. */
export const hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia);

/** Show what it sees; rejects where it is not given. */
export async function startCamera() {
  stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } } });
  $("video").srcObject = stream;
  await $("video").play();
}

export function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = $("video").srcObject = null;
}

/** What it sees now, as a file. */
export function shoot() {
  const video = $("video");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
}
