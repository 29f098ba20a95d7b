// Loaded before ava when Deno runs it: ava saves coverage at its end, which Deno doesn't have.
import v8 from 'node:v8';

v8.takeCoverage = () => {};
