import type { ExpectedFile } from './file-digest.ts';

/** A data set that its publisher offers to everybody. */
export interface PublicDataset {
  readonly name: string;
  readonly title: string;
  /** What the publisher allows, to be shown before anything is fetched. */
  readonly licence: string;
  /** Where the publisher tells of it. */
  readonly homepage: string;
  readonly files: readonly PublicFile[];
}

export interface PublicFile extends ExpectedFile {
  /** In the folder that it goes to. */
  readonly file: string;
  readonly url: string;
  /** Files that an archive is unpacked to; the archive goes. */
  readonly unpack?: readonly string[];
}

const uci = 'https://archive.ics.uci.edu/ml/machine-learning-databases/adult';
// The author's own site no longer gives the files; this copy is the one that PyTorch takes.
const mnist = 'https://ossci-datasets.s3.amazonaws.com/mnist';
const fashion = 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com';

/**
 * Checksums: of Adult, Fashion-MNIST and Tiny Shakespeare those of copies that we hold; of MNIST and
 * CIFAR-10 those that TensorFlow Datasets and others pin, the latter beside the publisher's own MD5.
 * Criteo publishes none.
 */
export const publicDatasets: readonly PublicDataset[] = [
  {
    name: 'adult',
    title: 'UCI Adult: census income, 48,842 rows, 14 features',
    licence: 'CC BY 4.0 (Becker and Kohavi 1996)',
    homepage: 'https://archive.ics.uci.edu/dataset/2/adult',
    files: [
      {
        file: 'adult.data',
        url: `${uci}/adult.data`,
        bytes: 3_974_305,
        sha256: '5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d',
      },
      {
        file: 'adult.test',
        url: `${uci}/adult.test`,
        bytes: 2_003_153,
        sha256: 'a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05',
      },
      {
        file: 'adult.names',
        url: `${uci}/adult.names`,
        bytes: 5229,
        sha256: 'c248284c0b5de30c9e1958d6cdd168a34a654758b620e68f46aefa83fc0a576a',
      },
    ],
  },
  {
    name: 'mnist',
    title: 'MNIST: 70,000 handwritten digits of 28 × 28',
    licence:
      'none is stated by the authors (LeCun, Cortes and Burges); commonly given as CC BY-SA 3.0',
    homepage: 'http://yann.lecun.com/exdb/mnist/',
    files: [
      {
        file: 'train-images-idx3-ubyte.gz',
        url: `${mnist}/train-images-idx3-ubyte.gz`,
        bytes: 9_912_422,
        sha256: '440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609',
      },
      {
        file: 'train-labels-idx1-ubyte.gz',
        url: `${mnist}/train-labels-idx1-ubyte.gz`,
        bytes: 28_881,
        sha256: '3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c',
      },
      {
        file: 't10k-images-idx3-ubyte.gz',
        url: `${mnist}/t10k-images-idx3-ubyte.gz`,
        bytes: 1_648_877,
        sha256: '8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6',
      },
      {
        file: 't10k-labels-idx1-ubyte.gz',
        url: `${mnist}/t10k-labels-idx1-ubyte.gz`,
        bytes: 4542,
        sha256: 'f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6',
      },
    ],
  },
  {
    name: 'fashion-mnist',
    title: 'Fashion-MNIST: 70,000 articles of clothing of 28 × 28',
    licence: 'MIT (Zalando SE 2017)',
    homepage: 'https://github.com/zalandoresearch/fashion-mnist',
    files: [
      {
        file: 'train-images-idx3-ubyte.gz',
        url: `${fashion}/train-images-idx3-ubyte.gz`,
        bytes: 26_421_880,
        sha256: '3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84',
      },
      {
        file: 'train-labels-idx1-ubyte.gz',
        url: `${fashion}/train-labels-idx1-ubyte.gz`,
        bytes: 29_515,
        sha256: 'a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845',
      },
      {
        file: 't10k-images-idx3-ubyte.gz',
        url: `${fashion}/t10k-images-idx3-ubyte.gz`,
        bytes: 4_422_102,
        sha256: '346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073',
      },
      {
        file: 't10k-labels-idx1-ubyte.gz',
        url: `${fashion}/t10k-labels-idx1-ubyte.gz`,
        bytes: 5148,
        sha256: '67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5',
      },
    ],
  },
  {
    name: 'cifar-10',
    title: 'CIFAR-10, binary version: 60,000 colour images of 32 × 32',
    licence: 'none is stated; the author asks to be cited (Krizhevsky 2009)',
    homepage: 'https://www.cs.toronto.edu/~kriz/cifar.html',
    files: [
      {
        file: 'cifar-10-binary.tar.gz',
        url: 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',
        bytes: 170_052_171,
        sha256: 'c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd',
        md5: 'c32a1d4ab5d03f1284b67883e8d87530',
        unpack: [
          ...Array.from({ length: 5 }, (_, index) => `data_batch_${index + 1}.bin`),
          'test_batch.bin',
          'batches.meta.txt',
        ],
      },
    ],
  },
  {
    name: 'criteo-kaggle',
    title: 'Criteo display advertising challenge: 45.8 million rows, 4.6 GB packed',
    licence:
      "Criteo's own terms, which forbid passing the data on; read them at the publisher's before you use it",
    homepage: 'https://ailab.criteo.com/ressources/',
    files: [
      {
        file: 'criteo-kaggle.tar.gz',
        url: 'https://go.criteo.net/criteo-research-kaggle-display-advertising-challenge-dataset.tar.gz',
        unpack: ['train.txt'],
      },
    ],
  },
  {
    name: 'tinyshakespeare',
    title: 'Tiny Shakespeare: 1.1 MB of plays, for lm-codistill --data',
    licence: 'public domain',
    homepage: 'https://github.com/karpathy/char-rnn',
    files: [
      {
        file: 'input.txt',
        url: 'https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt',
        bytes: 1_115_394,
        sha256: '86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed',
      },
    ],
  },
];
