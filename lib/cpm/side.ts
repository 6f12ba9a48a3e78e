/** Which network a leg faces: the served user's devices, or the core and other functions. They listen and advertise apart. */
export type Side = 'access' | 'core';
