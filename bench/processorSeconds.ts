/** Seconds of processor time that this process has taken, all its threads together: other work on the machine tells less than by the clock. */
export function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
