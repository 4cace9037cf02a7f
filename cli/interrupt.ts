/**
 * Runs `work` with Ctrl-C taken over: the first one calls `first`, the second leaves the process at once.
 * @param exitCode code of the second
 */
export async function interruptible<T>(first: () => void, exitCode: number, work: () => Promise<T>): Promise<T> {
  let pressed = false;
  const onInterrupt = () => {
    if (pressed) process.exit(exitCode);
    pressed = true;
    first();
  };
  process.on('SIGINT', onInterrupt);
  try {
    return await work();
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}
