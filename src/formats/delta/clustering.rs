//! Clustered tables: their clustering columns have statistics in every file (protocol, "Clustered Table").

use serde_json::Value as Json;

use super::replay::State;
use crate::error::{Error, Result};
use crate::model::{Field, Type};

/// The domain that names the clustering columns.
pub(super) const DOMAIN: &str = "delta.clustering";

/// Ids of the clustering columns among `fields`, where the table has some.
///
/// # Errors
///
/// `Corrupt` for names that cannot be understood.
pub(super) fn columns(state: &State, fields: &[&Field]) -> Result<Vec<i32>> {
    let Some(domain) = state.domains.get(DOMAIN).filter(|_| state.protocol.writes("clustering")) else { return Ok(Vec::new()) };
    let wrong = || Error::corrupt("the clustering columns cannot be understood").about("domain", DOMAIN);
    let json: Json = serde_json::from_str(&domain.configuration).map_err(|_| wrong())?;
    let names = json.get("clusteringColumns").and_then(Json::as_array).ok_or_else(wrong)?;
    Ok(names.iter().filter_map(|name| find(fields, name)).collect())
}

/// A column is named by its physical name or by the names on the way down to it.
fn find(fields: &[&Field], name: &Json) -> Option<i32> {
    let one = name.as_str().map(|name| vec![name]);
    let path = one.or_else(|| name.as_array().map(|names| names.iter().filter_map(Json::as_str).collect()))?;
    let (first, below) = path.split_first()?;
    let mut field: &Field = fields.iter().find(|field| field.physical == *first)?;
    for step in below {
        let Type::Struct(members) = &field.ty else { return None };
        field = members.iter().find(|member| member.physical == *step)?;
    }
    Some(field.id)
}
