//! DER as a tree that can be changed anywhere and written again with lengths that fit.

/// A value: its tag and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The tag, of one byte.
    pub tag: u8,
    /// What is in it.
    pub body: Body,
}

/// What is in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Bytes.
    Bytes(Vec<u8>),
    /// Other values, behind as many bytes as say how many bits of a BIT STRING are not used.
    Nodes(Vec<u8>, Vec<Node>),
}

impl Node {
    /// A value of bytes.
    pub fn bytes(tag: u8, bytes: impl Into<Vec<u8>>) -> Self {
        Self { tag, body: Body::Bytes(bytes.into()) }
    }

    /// A value of other values.
    pub fn nodes(tag: u8, nodes: impl Into<Vec<Self>>) -> Self {
        Self { tag, body: Body::Nodes(Vec::new(), nodes.into()) }
    }

    /// The first value in these bytes, if there is one; what is behind it does not count. Strings
    /// whose bytes are DER are read on.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        take(bytes).map(|(node, _)| node)
    }

    /// The value as DER.
    pub fn encode(&self) -> Vec<u8> {
        let contents = match &self.body {
            Body::Bytes(bytes) => bytes.clone(),
            Body::Nodes(prefix, nodes) => {
                let nodes = nodes.iter().flat_map(Self::encode);
                prefix.iter().copied().chain(nodes).collect()
            }
        };
        let mut out = vec![self.tag];
        let digits = contents.len().to_be_bytes();
        let digits: Vec<u8> = digits.into_iter().skip_while(|byte| *byte == 0).collect();
        match digits.as_slice() {
            [] => out.push(0),
            [short @ ..=0x7f] => out.push(*short),
            _ => {
                out.push(0x80 | u8::try_from(digits.len()).expect("a length is of eight bytes"));
                out.extend(digits);
            }
        }
        out.extend(contents);
        out
    }

    /// The value at the end of this path of positions, if there is one.
    pub fn get(&self, path: &[usize]) -> Option<&Self> {
        path.iter().try_fold(self, |node, position| node.children().get(*position))
    }

    /// The same, to be changed.
    ///
    /// # Panics
    /// If there is none.
    pub fn at(&mut self, path: &[usize]) -> &mut Self {
        let mut node = self;
        for position in path {
            node = node.children_mut().get_mut(*position).expect("the path is one of the tree");
        }
        node
    }

    /// The values in it; none if it is one of bytes.
    pub fn children(&self) -> &[Self] {
        match &self.body {
            Body::Nodes(_, nodes) => nodes,
            Body::Bytes(_) => &[],
        }
    }

    /// The same, to be changed.
    ///
    /// # Panics
    /// If it is a value of bytes.
    pub fn children_mut(&mut self) -> &mut Vec<Self> {
        match &mut self.body {
            Body::Nodes(_, nodes) => nodes,
            Body::Bytes(bytes) => panic!("a value of bytes has no children: {bytes:?}"),
        }
    }

    /// The paths to all values in it, its own first.
    pub fn paths(&self) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new()];
        for (position, child) in self.children().iter().enumerate() {
            all.extend(child.paths().into_iter().map(|mut path| {
                path.insert(0, position);
                path
            }));
        }
        all
    }
}

fn take(bytes: &[u8]) -> Option<(Node, &[u8])> {
    let (&tag, after_tag) = bytes.split_first()?;
    if tag == 0 || tag & 0x1f == 0x1f {
        return None;
    }
    let (&first, rest) = after_tag.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.len() > 4 || digits.is_empty() {
            return None;
        }
        (digits.iter().fold(0, |n, byte| n << 8 | usize::from(*byte)), rest)
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    let prefix = match tag {
        0x03 => 1,
        0x04 => 0,
        _ if tag & 0x20 != 0 => 0,
        _ => return Some((Node::bytes(tag, contents), rest)),
    };
    let body = contents.split_at_checked(prefix).and_then(|(prefix, inner)| {
        let nodes = all(inner)?;
        (tag & 0x20 != 0 || !nodes.is_empty()).then(|| Body::Nodes(prefix.to_vec(), nodes))
    });
    let node = Node { tag, body: body.unwrap_or_else(|| Body::Bytes(contents.to_vec())) };
    // What is not written again as it was read is left alone.
    let is_same = node.encode().get(1..).is_some_and(|written| after_tag.starts_with(written));
    Some((if is_same { node } else { Node::bytes(tag, contents) }, rest))
}

fn all(mut bytes: &[u8]) -> Option<Vec<Node>> {
    let mut nodes = Vec::new();
    while !bytes.is_empty() {
        let (node, rest) = take(bytes)?;
        nodes.push(node);
        bytes = rest;
    }
    Some(nodes)
}
