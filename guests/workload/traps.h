#pragma once

// Loads the interrupt table on this virtual CPU. An exception prints "EXCEPTION vector=... rip=..." and powers off.
void traps_start(void);
