import { randomInt } from 'node:crypto';

/**
 * Words of our own for names such as `amber_kepler`: an adjective, and the surname of somebody who found
 * something out.
 */
const ADJECTIVES: readonly string[] = (
  'agile amber ample ardent azure balmy bold brave breezy bright brisk calm candid careful cheery ' +
  'chipper civil clear clever cosmic ' +
  'cozy crisp curious daring deft deep eager early earnest easy epic even fair fleet fluent fond ' +
  'frank free fresh frosty gentle glad ' +
  'golden grand green handy hardy hazel hearty honest humble icy jolly keen kind late lean light ' +
  'lively loyal lucid lunar mellow merry ' +
  'mighty mild modest neat nimble noble novel open patient placid plain polite proud quick quiet ' +
  'rapid ready royal rustic sandy serene ' +
  'sharp shiny silent silver simple sleek smooth snappy solar solid sound spry stable steady stellar ' +
  'still subtle sunny sure swift tidy ' +
  'tranquil true trusty upbeat vast vivid warm wise witty young zesty'
).split(' ');

const SURNAMES: readonly string[] = (
  'abel airy ampere anning arago archimedes avogadro banks bassi bell bernoulli bessel blackwell bohr ' +
  'bolyai boole borlaug boyle braille ' +
  'cannon cantor carver cassini cavendish celsius clausius copernicus coriolis curie dalton darwin ' +
  'davy descartes dirac doppler euclid ' +
  'euler faraday fermi fibonacci fourier franklin fresnel galilei galois galvani gauss germain gibbs ' +
  'goeppert halley hamilton harvey ' +
  'herschel hertz hilbert hodgkin hooke hopper hubble humboldt hutton huygens hypatia jenner joule ' +
  'kelvin kepler khayyam kirchhoff koch ' +
  'lagrange laplace lavoisier leavitt leibniz linnaeus lister lovelace lyell mach maxwell mendel ' +
  'merian mersenne mitchell napier newton ' +
  'nightingale noether ohm orsted pascal pasteur planck poincare priestley ptolemy ramanujan rayleigh ' +
  'riemann rutherford sagan snell ' +
  'somerville tesla thales torricelli turing vesalius volta wallace watt wegener weyl young'
).split(' ');

/** A name that `isTaken` does not know; from the second round on with a digit at the end. */
export function generateName(isTaken: (name: string) => boolean): string {
  for (let round = 0; ; round++) {
    const adjective = ADJECTIVES[randomInt(ADJECTIVES.length)];
    const surname = SURNAMES[randomInt(SURNAMES.length)];
    // A crowded engine gets more digits, so that this ends.
    const digits = round === 0 ? '' : String(randomInt(10 ** Math.ceil(round / 8)));
    const name = `${adjective}_${surname}${digits}`;
    if (!isTaken(name)) return name;
  }
}
