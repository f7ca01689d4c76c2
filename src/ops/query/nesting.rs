//! How deep SQL is nested, told from its tokens: the parser tries several readings at each bracket and each dot, so that a text that turns out to be
//! no SQL keeps it busy twice as long with every level.

use sqlparser::tokenizer::{Token, TokenWithSpan};

/// How many brackets are open at the same time, at most.
pub fn depth(tokens: &[TokenWithSpan]) -> usize {
    let mut open = 0_usize;
    let mut deepest = 0;
    for token in tokens {
        match token.token {
            Token::LParen | Token::LBracket | Token::LBrace => open += 1,
            Token::RParen | Token::RBracket | Token::RBrace => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

/// How many dots follow each other with nothing but a name between them, at most.
pub fn path(tokens: &[TokenWithSpan]) -> usize {
    let (mut dots, mut names, mut longest) = (0_usize, 0_usize, 0);
    for token in tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))) {
        if token.token == Token::Period {
            (dots, names) = (dots + 1, 0);
        } else {
            names += 1;
            // Two in a row belong to two paths.
            dots = if names > 1 { 0 } else { dots };
        }
        longest = longest.max(dots);
    }
    longest
}
