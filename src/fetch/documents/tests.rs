use super::*;
use crate::fetch::document::tests::{Site, settle, source};
use crate::testing::ManualClock;

fn documents(most: usize) -> (Arc<Documents<String>>, Site) {
    let (site, clock) = (Site::new(), ManualClock::default());
    (Arc::new(Documents::new(source(&site, &clock), most)), site)
}

fn url(number: usize) -> String {
    format!("https://app{number}.example/keys")
}

#[tokio::test]
async fn each_url_is_a_document_of_its_own() {
    let (documents, site) = documents(10);
    documents.get(&url(1)).await.unwrap();
    site.says("two");
    assert_eq!(*documents.get(&url(2)).await.unwrap(), "two");
    assert_eq!(documents.cached(&url(1)).as_deref().map(String::as_str), Some("one"));
    assert!(documents.cached(&url(3)).is_none());
    let one = documents.get(&url(1)).await.unwrap();
    assert_eq!(*documents.newer(&url(1), &one).await.unwrap(), "two");
    assert_eq!(site.hits(), 3);
}

#[tokio::test]
async fn the_one_that_was_asked_for_longest_ago_makes_room() {
    let (documents, site) = documents(3);
    for number in [1, 2, 3, 1] {
        documents.get(&url(number)).await.unwrap();
    }
    assert!(documents.cached(&url(4)).is_none());
    documents.get(&url(4)).await.unwrap();
    let kept = [1, 2, 3, 4].map(|number| documents.cached(&url(number)).is_some());
    assert_eq!((kept, site.hits()), ([true, false, true, true], 4));
}

#[tokio::test]
async fn no_more_are_fetched_at_once_than_there_is_room_for() {
    let (documents, site) = documents(3);
    site.shut();
    let waiting: Vec<_> = (0..3)
        .map(|number| {
            let documents = Arc::clone(&documents);
            tokio::spawn(async move { documents.get(&url(number)).await.is_ok() })
        })
        .collect();
    settle().await;
    assert!(documents.get(&url(3)).await.is_err());
    site.open();
    for caller in waiting {
        assert!(caller.await.unwrap());
    }
    assert!(documents.get(&url(3)).await.is_ok());
    assert_eq!(site.hits(), 4);
}
