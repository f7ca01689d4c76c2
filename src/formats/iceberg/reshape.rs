//! Rewriting files under another partition spec than the one that wrote them (Iceberg's procedure does so under the current spec).

use std::sync::Arc;

use super::metadata::Metadata;
use super::output::directory;
use super::spec::Spec;
use super::table::same_file;
use crate::error::{Error, Result};
use crate::formats::Destination;
use crate::location::Location;
use crate::model::{DataFile, GroupChange, Partition, Partitions, Routing, SpecChoice, Value};

/// Where rows of a file of spec `own` go.
///
/// # Errors
///
/// `Usage` for a chosen spec that the table does not have, `Unsupported` for one whose values cannot be computed.
pub(crate) fn destination(metadata: &Metadata, own: i32, choice: SpecChoice) -> Result<Destination> {
    let computable = |id: i32| metadata.spec(id)?.sources(&metadata.schema).map(|_| id);
    let chosen = match choice {
        SpecChoice::Own => own,
        SpecChoice::Current => computable(metadata.default_spec).unwrap_or(own),
        SpecChoice::Id(id) if metadata.specs.contains_key(&id) => computable(id)?,
        SpecChoice::Id(id) => {
            let known: Vec<String> = metadata.specs.keys().map(ToString::to_string).collect();
            return Err(Error::usage("the table has no partition spec of this id")
                .about("spec", id)
                .hint(format!("it has: {}", known.join(", "))));
        }
    };
    if metadata.spec(own)?.understood().is_err() {
        return Ok(Destination::Nowhere);
    }
    if chosen == own {
        return Ok(Destination::Same);
    }
    let spec = metadata.spec(chosen)?;
    // Without fields that tell rows apart there is one partition, and it is known.
    let known = if spec.is_unpartitioned() {
        spec.with_values(vec![None; spec.fields.len()])
    } else {
        Partition { spec_id: chosen, ..Partition::default() }
    };
    Ok(Destination::Other(Arc::new(known)))
}

/// How rows are sorted, where `partition` names a spec alone.
///
/// # Errors
///
/// `Unsupported` naming a field whose values cannot be computed.
pub(crate) fn routing(metadata: &Arc<Metadata>, partition: &Partition) -> Result<Option<Routing>> {
    let spec = metadata.spec(partition.spec_id)?;
    if partition.fields.len() == spec.fields.len() {
        return Ok(None);
    }
    let partitions = Arc::new(OfSpec { metadata: Arc::clone(metadata), spec: Arc::clone(spec) });
    Ok(Some(Routing { fields: spec.sources(&metadata.schema)?, partitions }))
}

/// The partitions of one spec.
#[derive(Debug)]
struct OfSpec {
    metadata: Arc<Metadata>,
    spec: Arc<Spec>,
}

impl Partitions for OfSpec {
    fn partition(&self, values: Vec<Option<Value>>) -> Result<(Arc<Partition>, Location)> {
        if values.len() != self.spec.fields.len() {
            return Err(Error::bug("partition values do not fit their spec").about("spec", self.spec.id));
        }
        let partition = self.spec.with_values(values);
        let folder = directory(&self.metadata, &partition)?;
        Ok((Arc::new(partition), folder))
    }
}

/// Whether rows of `group` move to another spec.
pub(crate) fn moves(group: &GroupChange) -> bool {
    let specs = |file: &DataFile| group.adds.iter().any(|new| new.partition.spec_id != file.partition.spec_id);
    group.removes.iter().any(specs)
}

/// Whether `group`, planned when its file was as `planned`, may still replace the file as it is `now`. What keeps its spec is hit by the equality
/// deletes that came since. What moves is not, because those are bound to partitions of their spec: then nothing may have come.
pub(crate) fn still_replaces(group: &GroupChange, planned: &DataFile, now: &DataFile) -> bool {
    same_file(planned, now) && (!moves(group) || planned.id() == now.id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::model::{DeleteKind, DeleteRef, FileFormat, FileStats, NewFile};
    use crate::units::Bytes;

    fn table(default_spec: i32) -> Arc<Metadata> {
        let doc = serde_json::json!({"format-version": 2, "location": "/t", "current-schema-id": 0, "default-spec-id": default_spec,
            "schemas": [{"schema-id": 0, "type": "struct", "fields": [
                {"id": 1, "name": "s", "required": false, "type": {"type": "struct", "fields": [{"id": 2, "name": "at", "required": false, "type": "timestamp"}]}},
                {"id": 3, "name": "f", "required": false, "type": "float"},
                {"id": 4, "name": "l", "required": false, "type": {"type": "list", "element-id": 5, "element": "int", "element-required": false}}]}],
            "partition-specs": [{"spec-id": 0, "fields": []},
                {"spec-id": 1, "fields": [{"name": "at_day", "transform": "day", "source-id": 2, "field-id": 1000}]},
                {"spec-id": 2, "fields": [{"name": "z", "transform": "zorder[2]", "source-id": 2, "field-id": 1001}]},
                {"spec-id": 3, "fields": [{"name": "f", "transform": "bucket[2]", "source-id": 3, "field-id": 1002}]},
                {"spec-id": 4, "fields": [{"name": "old", "transform": "void", "source-id": 9, "field-id": 1003}]},
                {"spec-id": 5, "fields": [{"name": "e", "transform": "identity", "source-id": 5, "field-id": 1004}]}]});
        let file = Location::parse("/t/metadata/v1.metadata.json").unwrap();
        Arc::new(Metadata::parse(doc.to_string().as_bytes(), &file, None).unwrap())
    }

    #[test]
    fn files_move_to_the_current_spec_unless_it_cannot_be_computed() {
        let to = |current, own, choice| destination(&table(current), own, choice).unwrap();
        let spec = |id| Destination::Other(Arc::new(Partition { spec_id: id, ..Partition::default() }));
        assert_eq!(to(1, 0, SpecChoice::Current), spec(1));
        assert_eq!(to(1, 1, SpecChoice::Current), Destination::Same);
        assert_eq!(to(1, 0, SpecChoice::Own), Destination::Same);
        assert_eq!(to(0, 0, SpecChoice::Id(1)), spec(1));
        for uncomputable in [2, 3, 5] {
            assert_eq!(to(uncomputable, 1, SpecChoice::Current), Destination::Same, "{uncomputable}");
            assert_eq!(destination(&table(0), 0, SpecChoice::Id(uncomputable)).unwrap_err().kind(), Kind::Unsupported);
        }
        // Unpartitioned ones need no routing.
        let Destination::Other(flat) = to(4, 1, SpecChoice::Current) else { panic!("another spec") };
        assert_eq!((flat.spec_id, flat.display().as_str()), (4, "old=null"));
        assert!(routing(&table(4), &flat).unwrap().is_none());
    }

    #[test]
    fn files_of_a_spec_that_is_not_understood_are_left_alone_and_unknown_specs_are_named() {
        for choice in [SpecChoice::Current, SpecChoice::Own, SpecChoice::Id(0)] {
            assert_eq!(destination(&table(1), 2, choice).unwrap(), Destination::Nowhere);
        }
        let error = destination(&table(1), 0, SpecChoice::Id(7)).unwrap_err();
        assert_eq!((error.kind(), error.next_step()), (Kind::Usage, "it has: 0, 1, 2, 3, 4, 5"));
    }

    #[test]
    fn an_equality_delete_that_came_meanwhile_stops_what_moves_to_another_spec_alone() {
        let file = |deletes: &[(DeleteKind, &str)]| DataFile {
            rows: Some(1),
            deletes: deletes.iter().map(|(kind, key)| DeleteRef { kind: *kind, key: (*key).into(), rows: None }).collect(),
            ..DataFile::bare(Location::parse("/t/f").unwrap(), FileFormat::Parquet, Bytes(1))
        };
        let group = |spec_id| {
            let partition = Arc::new(Partition { spec_id, ..Partition::default() });
            let new = NewFile {
                location: Location::parse("/t/new").unwrap(),
                size: Bytes(1),
                rows: 1,
                partition,
                stats: FileStats::default(),
                split_offsets: Vec::new(),
            };
            GroupChange { removes: vec![file(&[])], live_rows: 1, adds: vec![new], ..GroupChange::default() }
        };
        let (plain, later) = (file(&[]), file(&[(DeleteKind::Equality, "e")]));
        assert!(still_replaces(&group(0), &plain, &later) && still_replaces(&group(1), &plain, &plain));
        assert!(!still_replaces(&group(1), &plain, &later));
        assert!(!still_replaces(&group(0), &plain, &file(&[(DeleteKind::Positions, "p")])));
    }

    #[test]
    fn a_routing_names_partitions_and_their_folders() {
        let table = table(1);
        let Destination::Other(spec) = destination(&table, 0, SpecChoice::Current).unwrap() else { panic!("another spec") };
        let routing = routing(&table, &spec).unwrap().unwrap();
        assert_eq!(routing.fields, [(2, crate::model::Transform::Day)]);
        let (partition, folder) = routing.partitions.partition(vec![Some(Value::Int(-1))]).unwrap();
        assert_eq!((partition.display().as_str(), folder.to_string().as_str()), ("at_day=1969-12-31", "file:///t/data/at_day=1969-12-31"));
        assert!(routing.partitions.partition(Vec::new()).is_err());
    }
}
